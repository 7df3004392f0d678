"""Confidence intervals by bootstrap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import DataError, counted
from pipeline.scoring.counts import ErrorCounts

REPLICATES = 10_000
_SEED = 20140914  # any fixed one: the same counts give the same interval
_BLOCK = 2_000_000  # numbers drawn at once: memory stays small with many groups


@dataclass(frozen=True)
class Interval:
    """Where an error rate lies, in percent, and what was drawn to find out."""

    low: float
    high: float
    groups: int
    unit: str
    replicates: int

    def line(self) -> str:
        """One sentence for the protocol."""
        return (
            f"95 % interval {self.low:.2f} to {self.high:.2f}, bootstrap over "
            f"{counted(self.groups, self.unit.removesuffix('s'))}, {self.replicates} replicates"
        )


def draws(groups: int, replicates: int) -> Iterator[np.ndarray]:
    """Groups drawn with replacement, the same in every run.

    Yields:
        [rows, groups] int64; `replicates` rows in all.
    """
    rng = np.random.default_rng(_SEED)
    size = max(1, _BLOCK // groups)
    for start in range(0, replicates, size):
        yield rng.integers(groups, size=(min(size, replicates - start), groups))


def bootstrap_interval(
    groups: Sequence[ErrorCounts],
    *,
    unit: str = "speakers",
    replicates: int = REPLICATES,
) -> Interval:
    """The 95 % interval of an error rate, groups drawn with replacement.

    Args:
        groups: the counts of each speaker.
        unit: what a group is.
        replicates: draws.

    Returns:
        The 2.5th and 97.5th percentile of the rate, in percent.

    Raises:
        DataError: there is no reference token.

    References:
        Bisani & Ney 2004, Bootstrap estimates for confidence intervals in ASR.
    """
    if not sum(group.tokens for group in groups):
        raise DataError("an interval needs reference tokens; the references are empty")
    errors = np.array([group.errors for group in groups])
    tokens = np.array([group.tokens for group in groups])
    rates = [
        100.0 * errors[drawn].sum(1) / np.maximum(tokens[drawn].sum(1), 1)
        for drawn in draws(len(groups), replicates)
    ]
    low, high = np.percentile(np.concatenate(rates), [2.5, 97.5])
    return Interval(float(low), float(high), len(groups), unit, replicates)
