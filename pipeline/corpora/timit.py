"""TIMIT (LDC93S1): trees in upper or lower case, audio as SPHERE or RIFF."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError, counted
from pipeline.corpora.layout import CorpusSet, measure, write_sets
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.tables import read_lines
from pipeline.datadir.times import PhoneInterval, phones_of, read_phn
from pipeline.datadir.timit_phones import FOLD_61_48, timit_lang

SOURCE = "give the folder of LDC93S1 that holds TRAIN and TEST, and check that it is complete"

# Of TEST: the dev set of Halberstadt 1998, as in Kaldi's recipe; the corpus's own core test.
DEV_SPEAKERS = frozenset(
    "faks0 fdac1 fjem0 mgwt0 mjar0 mmdb1 mmdm2 mpdf0 fcmh0 fkms0 mbdg0 mbwm0 mcsh0 fadg0 fdms0 "
    "fedw0 mgjf0 mglb0 mrtk0 mtaa0 mtdt0 mthc0 mwjg0 fnmr0 frew0 fsem0 mbns0 mmjr0 mdls0 mdlf0 "
    "mdvc0 mers0 fmah0 fdrw0 mrcs0 mrjm4 fcal1 mmwh0 fjsj0 majc0 mjsw0 mreb0 fgjd0 fjmg0 mroa0 "
    "mteb0 mjfc0 mrjr0 fmml0 mrws1".split()
)
CORE_SPEAKERS = frozenset(
    "mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 mbpm0 mklt0 fnlp0 "
    "mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0".split()
)
# Speakers of the dialect regions 1 to 8, from the corpus's own documentation.
_SPEAKERS = {
    "train": (38, 76, 76, 68, 70, 35, 77, 22),
    "test": (11, 26, 26, 32, 28, 11, 23, 11),
}
_SENTENCES = 8  # a speaker, without the two SA that all speakers share
_AUDIO = (
    "wav.wav",
    "riff",
    "wav",
    "flac",
)  # RIFF first: a SPHERE beside it may be compressed
_SENTENCE = re.compile(r"s[aix]\d+")
_MOST_FAULTS = 20  # shown of one run


@dataclass(frozen=True)
class Utterance:
    """One sentence of a speaker.

    Attributes:
        speaker: as in `faks0`.
        name: as in `sx43`.
        dialect: as in `dr1`.
        part: `train` or `test`.
        files: by suffix in lower case, without the first dot.
    """

    speaker: str
    name: str
    dialect: str
    part: str
    files: Mapping[str, Path]

    @property
    def key(self) -> str:
        """The utterance id, in upper case as on the disc: `FAKS0_SX43`."""
        return f"{self.speaker}_{self.name}".upper()

    @property
    def audio(self) -> Path | None:
        """The audio file that is sure to be readable, if there is one."""
        return next((self.files[s] for s in _AUDIO if s in self.files), None)

    def fault(self) -> str | None:
        """What is missing of this utterance."""
        absent = [s.upper() for s in ("phn", "wrd") if s not in self.files]
        absent += [] if self.audio else ["audio (.WAV, .wav, .WAV.wav, .riff)"]
        if not absent:
            return None
        place = next(iter(self.files.values())).parent / self.name.upper()
        return f"{place}: no {', no '.join(absent)}"


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir())


def find_parts(corpus: Path) -> dict[str, Path]:
    """Finds TRAIN and TEST, in any case, in the folder or at most two below it.

    Raises:
        DataError: they are not there.
    """
    level = [corpus] if corpus.is_dir() else []
    for _ in range(3):
        for place in level:
            parts = {path.name.lower(): path for path in _folders(place)}
            if {"train", "test"} <= set(parts):
                return {name: parts[name].resolve() for name in ("train", "test")}
        level = [inner for place in level for inner in _folders(place)]
    raise DataError(f"{corpus}: no folders TRAIN and TEST; {SOURCE}")


def scan(parts: Mapping[str, Path]) -> list[Utterance]:
    """Lists the utterances of both parts, without the SA sentences."""
    found = []
    for part, root in parts.items():
        for dialect in _folders(root):
            for speaker in _folders(dialect):
                sentences: dict[str, dict[str, Path]] = {}
                for path in sorted(speaker.iterdir()):
                    name, _, suffix = path.name.lower().partition(".")
                    if _SENTENCE.fullmatch(name) and not name.startswith("sa"):
                        sentences.setdefault(name, {})[suffix] = path
                found += [
                    Utterance(
                        speaker.name.lower(), name, dialect.name.lower(), part, files
                    )
                    for name, files in sorted(sentences.items())
                ]
    return found


def check_complete(utterances: Sequence[Utterance], corpus: Path) -> None:
    """Checks that every speaker, sentence and file of the corpus is there.

    Raises:
        DataError: says what is missing where; a PER on a part of TIMIT compares to nothing.
    """
    faults = [fault for utt in utterances if (fault := utt.fault())]
    for part, counts in _SPEAKERS.items():
        for number, expected in enumerate(counts, start=1):
            there = {
                u.speaker
                for u in utterances
                if (u.part, u.dialect) == (part, f"dr{number}")
            }
            if len(there) != expected:
                faults.append(
                    f"{corpus}: {part.upper()}/DR{number}: {counted(len(there), 'speaker')}, "
                    f"expected {expected}"
                )
    sentences = Counter((u.part, u.speaker) for u in utterances)
    faults += [
        f"{corpus}: {part.upper()}: speaker {speaker.upper()} has {counted(count, 'sentence')} "
        "without "
        f"SA, expected {_SENTENCES}"
        for (part, speaker), count in sorted(sentences.items())
        if count != _SENTENCES
    ]
    present = {speaker for part, speaker in sentences if part == "test"}
    for title, speakers in (("dev", DEV_SPEAKERS), ("core test", CORE_SPEAKERS)):
        if absent := sorted(speakers - present):
            names = " ".join(absent).upper()
            faults.append(f"{corpus}: TEST: {title} speakers missing: {names}")
    if faults:
        rest = len(faults) - _MOST_FAULTS
        more = [f"… and {rest} more"] if rest > 0 else []
        raise DataError.of([*faults[:_MOST_FAULTS], *more, SOURCE])


def read_phones(path: Path) -> list[PhoneInterval]:
    """Reads a .PHN file into 48 phones; the glottal stop `q` leaves a gap.

    Raises:
        DataError: the file has a phone that is not one of the 61, or a damaged line.
    """
    marks = []
    for mark in read_phn(path):
        if mark.phone not in FOLD_61_48.table:
            raise DataError(
                f"{path}: {mark.phone!r} is not one of TIMIT's 61 phones; restore it"
            )
        folded = FOLD_61_48.table[mark.phone]
        if folded is not None:
            marks.append(PhoneInterval(folded, mark.start, mark.end))
    return marks


def read_words(path: Path) -> str:
    """Reads the words of a .WRD file: `first_sample last_sample word` lines.

    Raises:
        DataError: a line is not of that form; names the line.
    """
    words = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 3:
            raise DataError(
                f"{path}:{number}: expected two sample numbers and a word: {line!r}; restore it"
            )
        words.append(fields[2])
    return " ".join(words)


def make_set(utterances: Iterable[Utterance]) -> CorpusSet:
    """Reads transcripts and audio headers of some utterances.

    Raises:
        DataError: lists every file that is damaged.
    """
    wav: dict[str, str] = {}
    phones: dict[str, list[PhoneInterval]] = {}
    words: dict[str, str] = {}
    utt2spk: dict[str, str] = {}
    dialects: dict[str, str] = {}
    faults = []
    for utt in utterances:
        try:
            phones[utt.key] = read_phones(utt.files["phn"])
            words[utt.key] = read_words(utt.files["wrd"])
        except DataError as error:
            faults.append(str(error))
            continue
        wav[utt.key] = str(utt.audio)
        utt2spk[utt.key] = utt.speaker.upper()
        dialects[utt.speaker.upper()] = utt.dialect
    if faults:
        raise DataError.of(faults)
    data = DataDir(
        path=Path(),
        wav=wav,
        utt2spk=utt2spk,
        text={key: phones_of(marks) for key, marks in phones.items()},
        spk2gender={speaker: speaker[0].lower() for speaker in dialects},
        utt2dur=measure(wav),
    )
    return CorpusSet(data, phones, {"words": words, "spk2dialect": dialects})


def prepare_timit(
    corpus: Path, out: Path, *, complete_test: bool
) -> dict[str, DataDir]:
    """Makes train (3,696 utterances), dev (400) and test (192) data dirs and the lang dir.

    Transcripts are the 48 phones of Lee & Hon, with their times in `phones.ctm`; scoring
    folds them to 39. The SA sentences, which all speakers share, are left out.

    Args:
        corpus: folder with TRAIN and TEST, in any case.
        out: folder to make `train`, `dev`, `test` and `lang` in.
        complete_test: all 168 speakers of TEST (1,344 utterances) in place of the 24 of
            the core test; the dev speakers are among them.

    Returns:
        The sets.

    Raises:
        DataError: something is missing or damaged.

    References:
        Lee & Hon 1989; Halberstadt 1998, Heterogeneous acoustic measurements (thesis, MIT).
    """
    utterances = scan(find_parts(corpus))
    check_complete(utterances, corpus)
    test = [u for u in utterances if u.part == "test"]
    sets = {
        "train": make_set(u for u in utterances if u.part == "train"),
        "dev": make_set(u for u in test if u.speaker in DEV_SPEAKERS),
        "test": make_set(
            u for u in test if complete_test or u.speaker in CORE_SPEAKERS
        ),
    }
    write_sets(out, sets, timit_lang())
    return {name: made.data for name, made in sets.items()}
