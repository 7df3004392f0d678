"""Cepstral mean and variance normalisation (CMVN)."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.errors import DataError

VARIANCE_FLOOR = 1e-20  # Kaldi's: a constant coefficient must not divide by nothing


@dataclass(frozen=True)
class CmvnStats:
    """Sums over frames that add up, in Kaldi's layout.

    Attributes:
        matrix: [2, F + 1] float64: sums and, in the last column, the number of frames; below
            them sums of squares.
    """

    matrix: np.ndarray

    @classmethod
    def from_frames(cls, frames: np.ndarray) -> Self:
        """The statistics of frames [T, F]."""
        doubles = frames.astype(np.float64)
        matrix = np.zeros((2, frames.shape[1] + 1))
        matrix[0, :-1] = doubles.sum(axis=0)
        matrix[1, :-1] = np.square(doubles).sum(axis=0)
        matrix[0, -1] = len(frames)
        return cls(matrix)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.matrix + other.matrix)

    @property
    def count(self) -> float:
        """Frames counted."""
        return float(self.matrix[0, -1])

    @property
    def mean(self) -> np.ndarray:
        """[F] float64."""
        return self.matrix[0, :-1] / self.count

    @property
    def variance(self) -> np.ndarray:
        """[F] float64, at least the floor."""
        spread = self.matrix[1, :-1] / self.count - np.square(self.mean)
        return np.maximum(spread, VARIANCE_FLOOR)


def apply_cmvn(frames: np.ndarray, stats: CmvnStats, *, norm_vars: bool) -> np.ndarray:
    """Subtracts the mean, and divides by the standard deviation when asked.

    A coefficient that never varied is left at zero, not blown up.

    Args:
        frames: [T, F] float32.
        stats: of the same F.
        norm_vars: whether variances become one.

    Returns:
        [T, F] float32.

    Raises:
        DataError: the dimensions differ, or no frame was counted.
    """
    if stats.matrix.shape != (2, frames.shape[1] + 1):
        raise DataError(
            f"CMVN statistics of shape {stats.matrix.shape} do not fit features of dimension "
            f"{frames.shape[1]}; extract again"
        )
    if stats.count < 1:
        raise DataError("CMVN statistics count no frame; extract again")
    centred = frames - stats.mean.astype(np.float32)
    if not norm_vars:
        return centred
    return centred / np.sqrt(stats.variance).astype(np.float32)
