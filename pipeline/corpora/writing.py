"""What all corpora share: a set of utterances as they were read, and how it becomes a data dir."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from features.audio import audio_duration
from features.errors import DataError
from features.files import atomic_folder
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.tables import write_table
from pipeline.datadir.times import PhoneInterval, write_ctm


@dataclass(frozen=True)
class CorpusSet:
    """One set (train, dev, test) of a corpus.

    Attributes:
        name: of the data dir.
        wav: audio file of every utterance.
        text: words, or phones, of every utterance.
        utt2spk: speaker of every utterance.
        spk2gender: `m` or `f` of every speaker, where known.
        durations: seconds of every utterance.
        phones: times of the phones, where the corpus gives them.
        extra: further tables of the data dir by file name (`words`, `spk2age`, …).
    """

    name: str
    wav: Mapping[str, str]
    text: Mapping[str, Sequence[str]]
    utt2spk: Mapping[str, str]
    durations: Mapping[str, float]
    spk2gender: Mapping[str, str] | None = None
    phones: Mapping[str, Sequence[PhoneInterval]] | None = None
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def summary(self) -> str:
        """The set's counts in one line."""
        hours = sum(self.durations.values()) / 3600
        speakers = len(set(self.utt2spk.values()))
        return f"{self.name}: {len(self.wav)} utterances, {hours:.2f} h, {speakers} speakers"


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


def write_set(corpus_set: CorpusSet, folder: Path) -> None:
    """Fills a folder with the data dir of a set."""
    data = DataDir(
        path=folder,
        wav=dict(corpus_set.wav),
        utt2spk=dict(corpus_set.utt2spk),
        text={utt: tuple(words) for utt, words in corpus_set.text.items()},
        spk2gender=(
            None if corpus_set.spk2gender is None else dict(corpus_set.spk2gender)
        ),
        utt2dur=dict(corpus_set.durations),
    )
    write_datadir(data, folder)
    if corpus_set.phones is not None:
        write_ctm(folder / "phones.ctm", corpus_set.phones)
    for name, table in corpus_set.extra.items():
        write_table(folder / name, table)


def write_corpus(sets: Sequence[CorpusSet], lang: Lang, out: Path) -> None:
    """Writes data dirs and the lang dir, each whole or not at all."""
    with atomic_folder(out / "lang") as folder:
        write_lang(lang, folder)
    for corpus_set in sets:
        with atomic_folder(out / corpus_set.name) as folder:
            write_set(corpus_set, folder)
