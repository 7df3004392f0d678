"""Confidence intervals by bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import DataError
from pipeline.scoring.counts import ErrorCounts

REPLICATES = 10_000
_SEED = 20140914  # any fixed one: the same counts give the same interval
_BLOCK = 500  # replicates drawn at once: memory stays small with many speakers


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
            f"95 % interval {self.low:.2f} to {self.high:.2f}, bootstrap over {self.groups} "
            f"{self.unit}, {self.replicates} replicates"
        )


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
    rng = np.random.default_rng(_SEED)
    rates: list[np.ndarray] = []
    for start in range(0, replicates, _BLOCK):
        rows = min(_BLOCK, replicates - start)
        drawn = rng.integers(len(groups), size=(rows, len(groups)))
        rates.append(100.0 * errors[drawn].sum(1) / np.maximum(tokens[drawn].sum(1), 1))
    low, high = np.percentile(np.concatenate(rates), [2.5, 97.5])
    return Interval(float(low), float(high), len(groups), unit, replicates)
