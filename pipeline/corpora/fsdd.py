"""Free Spoken Digit Dataset: English digits at 8 kHz."""

import dataclasses
import re
from pathlib import Path

from features.errors import DataError, counted, named
from pipeline.corpora.layout import (
    CorpusSet,
    arpabet_lang,
    find_folder,
    measure,
    write_sets,
)
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.lexicon import Lexicon

SOURCE = (
    "get the Free Spoken Digit Dataset (https://github.com/Jakobovski/free-spoken-digit-dataset) "
    "and give the folder that holds recordings/"
)
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)")
_DIGITS = {
    "zero": ("Z IH R OW", "Z IY R OW"),
    "one": ("W AH N", "HH W AH N"),
    "two": ("T UW",),
    "three": ("TH R IY",),
    "four": ("F AO R",),
    "five": ("F AY V",),
    "six": ("S IH K S",),
    "seven": ("S EH V AH N",),
    "eight": ("EY T",),
    "nine": ("N AY N",),
}  # as in the CMU Pronouncing Dictionary
_TEST_TAKES = range(5)  # the corpus's own convention
_DEV_TAKES = range(5, 7)


def _set_of(take: int) -> str:
    if take in _TEST_TAKES:
        return "test"
    return "dev" if take in _DEV_TAKES else "train"


def read_recordings(folder: Path) -> dict[str, DataDir]:
    """Sorts recordings into sets by their names.

    Raises:
        DataError: lists the files that are not named digit_speaker_take.wav, or says which
            set has no recordings.
    """
    words = list(_DIGITS)
    sets = {name: DataDir(folder, {}, {}, text={}) for name in ("train", "dev", "test")}
    strangers = []
    for path in sorted(folder.glob("*.wav")):
        parts = _NAME.fullmatch(path.stem)
        if parts is None:
            strangers.append(path.name)
            continue
        take = int(parts["take"])
        utt = f"{parts['speaker']}-{parts['digit']}-{take:02d}"
        data = sets[_set_of(take)]
        data.wav[utt] = str(path)
        data.utt2spk[utt] = parts["speaker"]
        if data.text is not None:
            data.text[utt] = (words[int(parts["digit"])],)
    if strangers:
        raise DataError(
            f"{folder}: {counted(len(strangers), 'file')} not named digit_speaker_take.wav: "
            f"{named(strangers, 5)}; rename or remove them"
        )
    empty = [name for name, data in sets.items() if not data.wav]
    if empty:
        raise DataError(f"{folder}: no recordings for {', '.join(empty)}; {SOURCE}")
    return sets


def prepare_fsdd(corpus: Path, out: Path) -> dict[str, DataDir]:
    """Makes train, dev and test data dirs and the lang dir.

    By the corpus's own convention takes 0 to 4 are the test set, whose speakers are in
    train too; takes 5 and 6 are the dev set.

    Args:
        corpus: folder with `recordings`.
        out: folder to make `train`, `dev`, `test` and `lang` in.

    Returns:
        The sets.

    Raises:
        DataError: see `read_recordings`; or a file is not audio.
    """
    folder = find_folder(corpus, "recordings", mend=SOURCE) / "recordings"
    sets = {
        name: dataclasses.replace(data, utt2dur=measure(data.wav))
        for name, data in read_recordings(folder).items()
    }
    variants = {w: tuple(tuple(v.split()) for v in vs) for w, vs in _DIGITS.items()}
    lang = arpabet_lang(Lexicon(variants))
    write_sets(out, {name: CorpusSet(data) for name, data in sets.items()}, lang)
    return sets
