"""Utterances in batches of like length: planned from a seed, loaded as they are needed."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from features.augment import SpecAugment, spec_augment
from pipeline.nnet.config import BatchOptions
from pipeline.nnet.examples import Examples

_LENGTH_JITTER = 0.03  # epochs differ in who meets whom; 3 % keeps padding low
_PADDING = 0.08  # of a batch, before jitter; the promise to users is under 10 %
PAD_LABEL = -1


def cut_batches(lengths: Sequence[int], options: BatchOptions) -> list[int]:
    """Cuts utterances sorted by length into batches.

    Args:
        lengths: frames of each utterance, ascending.
        options: the bounds of a batch.

    Returns:
        The index at which each batch ends, ascending; the last equals `len(lengths)`.
    """
    ends = []
    first = total = 0
    for index, length in enumerate(lengths):
        rows = index - first + 1
        padded = rows * length
        full = padded > options.frames or rows > options.utterances
        if rows > 1 and (full or padded - total - length > _PADDING * padded):
            ends.append(index)
            first, total = index, 0
        total += length
    return [*ends, len(lengths)] if lengths else []


@dataclass(frozen=True)
class Batch:
    """One step's input.

    Attributes:
        keys: the utterances.
        frames: [B, T, F] float32, zero behind each row's end.
        mask: [B, T] bool, True on real frames.
        labels: framewise: [B, T] int32 state ids, -1 on padding; CTC: [B, L] phone ids, -1.
        first: whether the rows begin here (False for later chunks of truncated BPTT).
    """

    keys: tuple[str, ...]
    frames: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    first: bool = True


def pad(rows: Sequence[np.ndarray], value: float) -> np.ndarray:
    """Stacks arrays of different lengths [T_i, …] into [B, max T, …], filled with `value`."""
    longest = max(len(row) for row in rows)
    joined = np.full((len(rows), longest, *rows[0].shape[1:]), value, rows[0].dtype)
    for index, row in enumerate(rows):
        joined[index, : len(row)] = row
    return joined


class BatchPlan:
    """The batches of every epoch: a pure function of seed and epoch, so that training can resume.

    The number of batches is the same in every epoch; which utterances meet differs.

    Args:
        examples: what to draw from.
        options: the bounds of a batch.
        seed: of order and augmentation.
        augment: SpecAugment's options, or None.
        bands: coefficients of one feature frame, for SpecAugment; None: of a network frame.
        shuffle: False gives every epoch the same order (evaluation).
    """

    def __init__(
        self,
        examples: Examples,
        options: BatchOptions,
        *,
        seed: int,
        augment: SpecAugment | None = None,
        bands: int | None = None,
        shuffle: bool = True,
    ) -> None:
        self._examples = examples
        self._options = options
        self._seed = seed
        self._augment = augment
        self._bands = bands
        self._shuffle = shuffle
        self._lengths = np.array(examples.lengths)
        self._ends = cut_batches(sorted(self._lengths.tolist()), options)
        # Chunks are counted from a group's longest row: only without jitter is that constant.
        self._jitter = (
            _LENGTH_JITTER if shuffle and options.chunk_frames is None else 0.0
        )

    def _chunks(self, group: np.ndarray) -> int:
        chunk = self._options.chunk_frames
        return 1 if chunk is None else -(-int(self._lengths[group].max()) // chunk)

    @property
    def steps(self) -> int:
        """Steps of an epoch: batches, or chunks of batches."""
        return sum(self._chunks(group) for group in self._groups(0))

    @property
    def padding(self) -> float:
        """Share of padded frames in an epoch, after jitter."""
        groups = self._groups(0)
        padded = sum(len(g) * int(self._lengths[g].max()) for g in groups)
        return 1.0 - float(self._lengths.sum()) / padded

    def _groups(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self._seed, epoch])
        spread = rng.uniform(1 - self._jitter, 1 + self._jitter, len(self._lengths))
        order = np.argsort(self._lengths * spread, kind="stable")
        groups = np.split(order, self._ends[:-1])
        if self._shuffle:
            groups = [groups[i] for i in rng.permutation(len(groups))]
        return groups

    def _load(self, group: np.ndarray, epoch: int) -> Batch:
        frames, labels = [], []
        for index in group:
            matrix, targets = self._examples.load(int(index))
            if self._augment is not None:
                rng = np.random.default_rng([self._seed, epoch, int(index)])
                matrix = spec_augment(matrix, self._augment, rng, bands=self._bands)
            frames.append(matrix)
            labels.append(targets)
        return Batch(
            keys=tuple(self._examples.keys[int(i)] for i in group),
            frames=pad(frames, 0.0),
            mask=pad([np.ones(len(f), bool) for f in frames], False),
            labels=pad(labels, PAD_LABEL),
        )

    def _cut(self, batch: Batch) -> Iterator[Batch]:
        chunk = self._options.chunk_frames
        if chunk is None:
            yield batch
            return
        for start in range(0, batch.frames.shape[1], chunk):
            span = np.s_[:, start : start + chunk]
            yield Batch(
                batch.keys,
                batch.frames[span],
                batch.mask[span],
                batch.labels[span],
                first=start == 0,
            )

    def keys(self, epoch: int, step: int) -> tuple[str, ...]:
        """The utterances of one step, to name them in a message."""
        for group in self._groups(epoch):
            step -= self._chunks(group)
            if step < 0:
                return tuple(self._examples.keys[int(i)] for i in group)
        return ()

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of one epoch from step `start` on."""
        for group in self._groups(epoch):
            chunks = self._chunks(group)
            if start >= chunks:  # skipped without being loaded
                start -= chunks
                continue
            yield from itertools.islice(
                self._cut(self._load(group, epoch)), start, None
            )
            start = 0

    def stream(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of this epoch and of all later ones."""
        for number in itertools.count(epoch):
            yield from self.batches(number, start=start if number == epoch else 0)
