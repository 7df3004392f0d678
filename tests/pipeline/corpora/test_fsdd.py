"""The digits from a small tree of the corpus's shape."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from features.errors import DataError
from pipeline.corpora.fsdd import prepare_fsdd
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two speakers, takes 0 to 8 of two digits."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for speaker in ("jackson", "theo"):
        for digit in (0, 7):
            for take in range(9):
                path = folder / f"{digit}_{speaker}_{take}.wav"
                soundfile.write(path, np.zeros(800), 8000)
    return tmp_path / "fsdd"


@pytest.mark.parametrize(
    ("name", "takes"),
    [("test", range(5)), ("dev", range(5, 7)), ("train", range(7, 9))],
)
def test_takes_decide_the_set(
    corpus: Path, tmp_path: Path, name: str, takes: range
) -> None:
    prepare_fsdd(corpus, tmp_path / "data")
    data = read_datadir(tmp_path / "data" / name)
    assert {int(utt[-2:]) for utt in data.utterances} == set(takes)
    assert len(data.utterances) == 4 * len(takes)
    assert data.utt2spk["theo-7-%02d" % takes[0]] == "theo"
    assert set(data.utt2dur.values()) == {0.1} if data.utt2dur else False


def test_digits_are_words_of_the_lexicon(corpus: Path, tmp_path: Path) -> None:
    sets = prepare_fsdd(corpus, tmp_path / "data")
    lang = read_lang(tmp_path / "data" / "lang")
    text = sets["train"].text
    assert text is not None and text["theo-0-07"] == ("zero",)
    assert lang.variants("zero") == (("Z", "IH", "R", "OW"), ("Z", "IY", "R", "OW"))
    lang.check_oov(text, source="text")


def test_strangers_are_listed(corpus: Path, tmp_path: Path) -> None:
    soundfile.write(corpus / "recordings" / "ten_theo_1.wav", np.zeros(80), 8000)
    with pytest.raises(DataError, match="1 file not named .*: ten_theo_1.wav; rename"):
        prepare_fsdd(corpus, tmp_path / "data")


def test_a_set_without_recordings_is_named(corpus: Path, tmp_path: Path) -> None:
    for path in (corpus / "recordings").glob("*_[56].wav"):
        path.unlink()
    with pytest.raises(
        DataError, match="no recordings for dev; get the Free Spoken Digit"
    ):
        prepare_fsdd(corpus, tmp_path / "data")


def test_a_folder_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="recordings is missing; get the Free Spoken Digit"
    ):
        prepare_fsdd(tmp_path, tmp_path / "data")


def test_a_file_that_is_no_audio_is_named(corpus: Path, tmp_path: Path) -> None:
    (corpus / "recordings" / "0_theo_0.wav").write_text("nothing")
    with pytest.raises(DataError, match="0_theo_0.wav: cannot be read as audio"):
        prepare_fsdd(corpus, tmp_path / "data")
    assert not (tmp_path / "data").exists()
