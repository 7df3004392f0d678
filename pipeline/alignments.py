"""Alignment dirs: one 0-based state a frame for every utterance."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.archive import ArchiveReader, ArchiveWriter
from features.errors import DataError
from features.files import write_text
from pipeline.config import load, save
from pipeline.datadir.phones import PhoneTable, read_phones
from pipeline.nnet.examples import Targets

README = """\
ali.scp and ali.ark hold an int32 vector for every utterance, as long as its features:
0-based ids of states, phone * states + state (alignment.yaml says how many states; phones.txt
has the phones). Kaldi's own alignments hold transition-ids instead.
"""


@dataclass(frozen=True)
class AlignmentOptions:
    """How to read an alignment dir: HMM states a phone."""

    __pydantic_config__ = {"extra": "forbid"}

    states: int


def split_states(phones: np.ndarray, states: int) -> np.ndarray:
    """Divides every stretch of one phone evenly among its states.

    Args:
        phones: [T] int, phone ids.
        states: states a phone.

    Returns:
        [T] int32 state ids, phone * states + state.
    """
    changes = np.flatnonzero(np.diff(phones)) + 1
    parts = np.split(np.asarray(phones), changes)
    inside = [np.arange(len(part)) * states // max(len(part), 1) for part in parts]
    return (phones * states + np.concatenate(inside)).astype(np.int32)


def write_alignments(
    folder: Path,
    alignments: Iterable[tuple[str, np.ndarray]],
    phones: PhoneTable,
    *,
    states: int,
) -> None:
    """Writes an alignment dir: archives, phone table, settings and a README."""
    folder.mkdir(parents=True, exist_ok=True)
    with ArchiveWriter(folder / "ali.ark", folder / "ali.scp") as writer:
        for utt, labels in alignments:
            writer.write(utt, np.asarray(labels, np.int32))
    phones.write(folder / "phones.txt")
    save(folder / "alignment.yaml", AlignmentOptions(states))
    write_text(folder / "README", README)


def read_alignments(folder: Path, phones: PhoneTable, *, states: int) -> Targets:
    """Reads an alignment dir as training labels.

    Args:
        folder: what `write_alignments` made.
        phones: the phone table that is expected.
        states: states a phone that are wanted; made from single states when the dir has one.

    Raises:
        DataError: a file is missing, or phones or states differ.
    """
    if not (folder / "ali.scp").exists():
        raise DataError(f"{folder}/ali.scp: no such file; run keraldi align")
    if read_phones(folder / "phones.txt").symbols != phones.symbols:
        raise DataError(
            f"{folder}/phones.txt: other phones than the lang dir's; align again"
        )
    stored = load(folder / "alignment.yaml", AlignmentOptions).states
    reader = ArchiveReader(folder / "ali.scp")
    labels = {utt: reader[utt] for utt in reader}
    if stored == states:
        return Targets(labels, framewise=True)
    if stored == 1:
        split = {utt: split_states(ids, states) for utt, ids in labels.items()}
        return Targets(split, framewise=True)
    merged = {utt: ids // stored * states for utt, ids in labels.items()}
    return Targets(merged, framewise=True)
