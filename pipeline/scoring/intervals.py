"""Confidence intervals by bootstrap."""

from collections.abc import Sequence

import numpy as np

from pipeline.scoring.counts import ErrorCounts

REPLICATES = 10_000
_SEED = 20140914  # any fixed one: the same counts give the same interval
_BLOCK = 500  # replicates drawn at once: memory stays small with many speakers


def bootstrap_interval(
    groups: Sequence[ErrorCounts], *, replicates: int = REPLICATES
) -> tuple[float, float]:
    """The 95 % interval of an error rate, groups (speakers) drawn with replacement.

    Args:
        groups: the counts of each speaker.
        replicates: draws.

    Returns:
        The 2.5th and 97.5th percentile of the rate, in percent.

    References:
        Bisani & Ney 2004, Bootstrap estimates for confidence intervals in ASR.
    """
    errors = np.array([group.errors for group in groups])
    tokens = np.array([group.tokens for group in groups])
    rng = np.random.default_rng(_SEED)
    rates: list[np.ndarray] = []
    for start in range(0, replicates, _BLOCK):
        rows = min(_BLOCK, replicates - start)
        drawn = rng.integers(len(groups), size=(rows, len(groups)))
        rates.append(100.0 * errors[drawn].sum(1) / np.maximum(tokens[drawn].sum(1), 1))
    low, high = np.percentile(np.concatenate(rates), [2.5, 97.5])
    return float(low), float(high)
