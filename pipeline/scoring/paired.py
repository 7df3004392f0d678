"""Whether one system is better than another on the same utterances."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import DataError
from pipeline.scoring.alignment import Pair
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.intervals import REPLICATES, draws

_GOOD = 2  # correct words on each side of a segment, as in Gillick & Cox and sc_stats


@dataclass(frozen=True)
class PairedBootstrap:
    """The difference of two rates, second minus first, in percent.

    Attributes:
        difference: of the whole set.
        low, high: its 95 % interval.
        better: share of replicates where the second is better.
        p: two-sided, never below 1 / (replicates + 1).
    """

    difference: float
    low: float
    high: float
    better: float
    p: float
    groups: int
    replicates: int


def paired_bootstrap(
    first: Sequence[ErrorCounts],
    second: Sequence[ErrorCounts],
    *,
    replicates: int = REPLICATES,
) -> PairedBootstrap:
    """Draws the same speakers or utterances for both systems.

    Args:
        first, second: counts of the same groups in the same order, of equal tokens.
        replicates: draws.

    Raises:
        DataError: the groups differ, or there is no reference token.

    References:
        Bisani & Ney 2004, Bootstrap estimates for confidence intervals in ASR.
    """
    tokens = np.array([group.tokens for group in first])
    if [group.tokens for group in second] != tokens.tolist():
        raise DataError("a paired test needs the same references on both sides")
    if not tokens.sum():
        raise DataError(
            "a paired test needs reference tokens; the references are empty"
        )
    change = np.array([b.errors - a.errors for a, b in zip(first, second, strict=True)])
    found = np.concatenate(
        [
            100.0 * change[drawn].sum(1) / np.maximum(tokens[drawn].sum(1), 1)
            for drawn in draws(len(tokens), replicates)
        ]
    )
    low, high = np.percentile(found, [2.5, 97.5])
    tail = min(int((found <= 0).sum()), int((found >= 0).sum()))
    return PairedBootstrap(
        float(100.0 * change.sum() / tokens.sum()),
        float(low),
        float(high),
        float((found < 0).mean()),
        min(1.0, 2.0 * (tail + 1) / (replicates + 1)),
        len(tokens),
        replicates,
    )


def _slots(pairs: Sequence[Pair]) -> list[int]:
    """Errors of insertions before, and of, each reference token, and of insertions after."""
    slots = [0]
    for left, right in pairs:
        if left is None:
            slots[-1] += 1
        else:
            slots += [int(left != right), 0]
    return slots


def segments(first: Sequence[Pair], second: Sequence[Pair]) -> list[tuple[int, int]]:
    """The errors of both systems in each segment of an utterance that holds an error.

    A segment ends where both have two reference tokens right in a row, and at the
    utterance's ends.
    """
    found: list[tuple[int, int]] = []
    good = _GOOD  # the utterance's begin bounds the first segment
    for place, errors in enumerate(zip(_slots(first), _slots(second), strict=True)):
        if not any(errors):
            good += place % 2  # odd places are tokens
            continue
        if good >= _GOOD:
            found.append(errors)
        else:
            found[-1] = (found[-1][0] + errors[0], found[-1][1] + errors[1])
        good = 0
    return found


@dataclass(frozen=True)
class MatchedPairs:
    """The matched-pairs sentence-segment word-error test.

    Attributes:
        segments: how many hold an error of either system.
        mean, sd: of the second's errors minus the first's in a segment.
        z: None where no segment differs, or all differ by the same.
        p: two-sided, by the normal approximation.
    """

    segments: int
    mean: float
    sd: float
    z: float | None
    p: float


def mapsswe(
    first: Mapping[str, Sequence[Pair]], second: Mapping[str, Sequence[Pair]]
) -> MatchedPairs:
    """The MAPSSWE test between two systems.

    Args:
        first, second: aligned pairs of the same utterances and references.

    Raises:
        DataError: utterances or references differ.

    References:
        Gillick & Cox 1989, Some statistical issues in the comparison of speech recognition
        algorithms; Pallett, Fisher & Fiscus 1990; NIST sc_stats.
    """
    if set(first) != set(second):
        raise DataError("a paired test needs the same utterances on both sides")
    differences: list[int] = []
    for utt, pairs in first.items():
        sides = [
            [left for left, _ in side if left is not None]
            for side in (pairs, second[utt])
        ]
        if sides[0] != sides[1]:
            raise DataError(
                f"utterance {utt!r} has other references in the two; score both again with "
                "the same data and lang dir"
            )
        differences += [b - a for a, b in segments(pairs, second[utt])]
    values = np.array(differences, float)
    count = len(values)
    mean = float(values.mean()) if count else 0.0
    sd = float(values.std(ddof=1)) if count > 1 else 0.0
    if sd == 0.0:
        return MatchedPairs(count, mean, sd, None, 1.0)
    z = mean / (sd / math.sqrt(count))
    return MatchedPairs(count, mean, sd, z, math.erfc(abs(z) / math.sqrt(2.0)))
