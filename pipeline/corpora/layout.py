"""What the corpora share: lang dirs and whole sets of data dirs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from features.audio import audio_duration
from features.errors import DataError
from features.files import atomic_folder
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.lexicon import Lexicon
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.tables import write_table
from pipeline.datadir.times import PhoneInterval, write_ctm

SILENCE = "sil"
# The 39 phones of the CMU Pronouncing Dictionary, without stress.
ARPABET = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
    "V W Y Z ZH".split()
)


def arpabet_lang(lexicon: Lexicon) -> Lang:
    """The lang dir of a corpus of words: silence and ARPAbet, nothing folded."""
    symbols = (SILENCE, *ARPABET)
    return Lang(PhoneTable(symbols), Fold({s: s for s in symbols}), lexicon, (SILENCE,))


def measure(wav: Mapping[str, str]) -> dict[str, float]:
    """The length in seconds of every audio file, from its header.

    Raises:
        DataError: lists every file that is missing or cannot be read.
    """
    durations: dict[str, float] = {}
    faults = []
    for utt, path in wav.items():
        try:
            durations[utt] = audio_duration(path)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError.of(faults)
    return durations


@dataclass(frozen=True)
class CorpusSet:
    """One set (train, dev, test) of a corpus, ready to be written.

    Attributes:
        data: its data dir; the `path` does not matter.
        phones: times of the phones, where the corpus gives them: `phones.ctm`.
        tables: further tables by file name (`words`, `spk2age`, …).
    """

    data: DataDir
    phones: Mapping[str, Sequence[PhoneInterval]] | None = None
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Fills a folder with the data dir."""
        write_datadir(self.data, folder)
        if self.phones is not None:
            write_ctm(folder / "phones.ctm", self.phones)
        for name, table in self.tables.items():
            write_table(folder / name, table)


def write_sets(out: Path, sets: Mapping[str, CorpusSet], lang: Lang) -> None:
    """Writes data dirs by name and the lang dir `out/lang`, each whole or not at all."""
    for name, corpus_set in sets.items():
        with atomic_folder(out / name) as folder:
            corpus_set.write(folder)
    with atomic_folder(out / "lang") as folder:
        write_lang(lang, folder)


def tag_variants(
    words: Sequence[str], spoken: Sequence[tuple[str, ...]], lexicon: Lexicon
) -> tuple[str, ...]:
    """Marks each word with the variant that was spoken, as the CMU dictionary does: `THE(2)`."""
    tagged = []
    for word, phones in zip(words, spoken, strict=True):
        number = lexicon.pronunciations[word].index(phones) + 1
        tagged.append(word if number == 1 else f"{word}({number})")
    return tuple(tagged)


def find_folder(corpus: str | os.PathLike[str], *needed: str, mend: str) -> Path:
    """The folder of a corpus, checked to hold what marks it as such.

    Raises:
        DataError: the folder or one of the `needed` paths is missing.
    """
    folder = Path(corpus)
    absent = [name for name in needed if not (folder / name).exists()]
    if not folder.is_dir() or absent:
        what = ", ".join(absent) or "the folder itself"
        raise DataError(f"{folder}: {what} is missing; {mend}")
    return folder.resolve()
