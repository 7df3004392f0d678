"""Variations of the training data: speed, gain, noise, and masks over the spectrum."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import soxr
from pydantic import Field

from features.errors import DataError

Count = Annotated[int, Field(ge=0)]


def speed(samples: np.ndarray, factor: float, rate_hz: int) -> np.ndarray:
    """Plays faster or slower by resampling; tempo and pitch change together.

    Args:
        samples: [S] float32.
        factor: 1.1 is 10 % faster.
        rate_hz: of `samples`, and of what comes back.

    Returns:
        [about S / factor] float32.

    Raises:
        DataError: `factor` is not between 0.5 and 2.

    References:
        Ko et al. 2015, Audio Augmentation for Speech Recognition.
    """
    if not 0.5 <= factor <= 2.0:
        raise DataError(f"speed factor {factor}: expected 0.5 to 2")
    if factor == 1.0:
        return samples
    return soxr.resample(samples, rate_hz * factor, rate_hz)


def gain(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Scales samples [S] by `decibels`; what leaves [-1, 1] is not clipped."""
    return samples * np.float32(10.0 ** (decibels / 20.0))


def add_noise(
    samples: np.ndarray, noise: np.ndarray, *, snr_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Mixes in noise at a ratio of powers.

    Args:
        samples: [S] float32.
        noise: [N] float32, repeated from a random place when it is shorter.
        snr_db: power of the samples over that of the noise, in dB.
        rng: chooses the place.

    Returns:
        [S] float32.

    Raises:
        DataError: one of the two is silent or empty.
    """
    powers = [float(np.mean(np.square(x))) if len(x) else 0.0 for x in (samples, noise)]
    if min(powers) <= 0.0:
        raise DataError(
            "noise cannot be mixed with silence; give signals that are not all zero"
        )
    start = int(rng.integers(len(noise)))
    places = (start + np.arange(len(samples))) % len(noise)
    scale = np.sqrt(powers[0] / powers[1] / 10.0 ** (snr_db / 10.0))
    return samples + np.float32(scale) * noise[places]


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Masks over features, drawn anew in every epoch.

    Attributes:
        frequency_masks: bands masked.
        frequency_width: widest band, in coefficients.
        time_masks: stretches masked.
        time_width: longest stretch, in network frames.
        time_fraction: longest stretch as a share of the utterance.

    References:
        Park et al. 2019, SpecAugment.
    """

    __pydantic_config__ = {"extra": "forbid"}

    frequency_masks: Count = 2
    frequency_width: Count = 8
    time_masks: Count = 2
    time_width: Count = 10
    time_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2


def spec_augment(
    frames: np.ndarray,
    options: SpecAugment,
    rng: np.random.Generator,
    *,
    bands: int | None = None,
) -> np.ndarray:
    """Sets random bands and stretches to zero, the mean of normalised features.

    Args:
        frames: [T, F] float32, normalised.
        options: how many masks and how large.
        rng: draws them.
        bands: coefficients of one frame where F joins several (stacked, spliced or with
            deltas); a band is masked in all of them. F when None.

    Returns:
        [T, F] float32, a new array.
    """
    length, width = frames.shape
    bands = bands or width
    masked = frames.reshape(length, width // bands, bands).copy()
    for _ in range(options.frequency_masks):
        size = int(rng.integers(min(options.frequency_width, bands) + 1))
        first = int(rng.integers(bands - size + 1))
        masked[:, :, first : first + size] = 0.0
    longest = min(options.time_width, int(length * options.time_fraction))
    for _ in range(options.time_masks):
        size = int(rng.integers(longest + 1))
        first = int(rng.integers(length - size + 1))
        masked[first : first + size] = 0.0
    return masked.reshape(length, width)
