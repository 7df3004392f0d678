"""What is said of transcripts before they are aligned."""

from pathlib import Path

import pytest

from features.errors import DataError
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.lang import Lang
from pipeline.datadir.lexicon import Lexicon
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.transcripts import Transcripts

LANG = Lang(
    PhoneTable(("sil", "a", "b")),
    Fold({}),
    Lexicon({"AB": (("a", "b"), ("a", "b", "a")), "B": (("b",),)}),
    ("sil",),
)


def data(text: dict[str, str]) -> DataDir:
    return DataDir(
        path=Path("data"),
        wav={},
        utt2spk={"u1": "s", "u2": "s"},
        text={utt: tuple(words.split()) for utt, words in text.items()},
    )


def test_transcripts_longer_than_the_frames_are_listed():
    spoken = data({"u1": "AB B", "u2": "AB AB B B"})
    transcripts = Transcripts.of(spoken, LANG)
    rooms = {"u1": 6, "u2": 6}
    transcripts.check_lengths(rooms, min_frames=1, source="data")  # 6 phones
    with pytest.raises(DataError) as caught:
        transcripts.check_lengths(rooms, min_frames=3, source="data")
    told = str(caught.value).splitlines()
    assert [line.split(";")[0] for line in told] == [
        "data: utterance 'u1': 3 phones for 6 frames, at least 9 needed",
        "data: utterance 'u2': 6 phones for 6 frames, at least 18 needed",
    ]


def test_utterances_without_a_transcript_are_named():
    with pytest.raises(DataError, match="data/text: no transcript of u2; add them"):
        Transcripts.of(data({"u1": "B"}), LANG)
