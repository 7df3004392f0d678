"""Whether a confidence of 0.8 is right eight times in ten."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import DataError

_BINS = 10
_SMALLEST = (
    0.0005  # half of a CTM's last digit: 1.000 and wrong is not an infinite loss
)


@dataclass(frozen=True)
class Calibration:
    """How confidences agree with correctness.

    Attributes:
        bins: of low, high, count, mean confidence and share correct; those that are not empty.
        ece: expected calibration error, in [0, 1].
        nce: normalised cross entropy, 1 at best, 0 for knowing the share correct only; None
            where all or none are correct.
        phones: how many.
        correct: share that is.
    """

    bins: tuple[tuple[float, float, int, float, float], ...]
    ece: float
    nce: float | None
    phones: int
    correct: float


def calibrate(confidences: Sequence[float], correct: Sequence[bool]) -> Calibration:
    """Reliability by tenths, expected calibration error, normalised cross entropy.

    Args:
        confidences: in [0, 1], one a hypothesised phone.
        correct: whether the phone is.

    Raises:
        DataError: there is none, or a confidence is out of range.

    References:
        Naeini et al. 2015 (ECE); Siu, Gish & Richardson 1997, and NIST (NCE).
    """
    sure, right = np.array(confidences, float), np.array(correct, bool)
    if not len(sure) or not ((sure >= 0) & (sure <= 1)).all():
        raise DataError(
            "confidences: expected at least one, all in [0, 1]; mend the CTM"
        )
    share = float(right.mean())
    places = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    bins = []
    ece = 0.0
    for place in range(_BINS):
        chosen = places == place
        if count := int(chosen.sum()):
            mean, hit = float(sure[chosen].mean()), float(right[chosen].mean())
            ece += count / len(sure) * abs(mean - hit)
            bins.append((place / _BINS, (place + 1) / _BINS, count, mean, hit))
    nce = None
    if 0.0 < share < 1.0:
        bounded = np.clip(sure, _SMALLEST, 1.0 - _SMALLEST)
        loss = -np.log2(np.where(right, bounded, 1.0 - bounded)).mean()
        prior = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
        nce = float((prior - loss) / prior)
    return Calibration(tuple(bins), ece, nce, len(sure), share)
