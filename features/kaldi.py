"""Kaldi's filterbank and MFCC in float32, rounding by rounding as kaldi-native-fbank makes them.

Far below the loudest bin of a frame there is little but rounding, so only a calculation that
rounds in the same order agrees there. Arrays hold a frame in a column: what is done to one
sample, bin or filter is done to all frames at once, and no frame sees another.
"""

import functools
from collections.abc import Sequence

import numpy as np

from features.fourier import rfft

# FLT_EPSILON, under which Kaldi takes no logarithm
ENERGY_FLOOR = 1.1920928955078125e-07
INT16_RANGE = 32768.0  # Kaldi's samples are 16-bit integers
PREEMPHASIS = 0.97
LIFTER = 22.0

Band = tuple[slice, np.ndarray]  # bins of a filter, and their weights [K, 1]


def _log(values: np.ndarray) -> np.ndarray:
    """Logarithms [...] float32, rounded once; NumPy's own of float32 may be off by several."""
    return np.log(values, dtype=np.float64).astype(np.float32)


def mel_of(hertz: np.ndarray | float) -> np.ndarray:
    """HTK's mel scale, float32."""
    ratio = np.asarray(hertz, np.float32) / np.float32(700.0)
    return np.float32(1127.0) * _log(np.float32(1.0) + ratio)


def _sum_rows(terms: np.ndarray) -> np.ndarray:
    """Sums [T] of [K, T], rows added one after the other."""
    if (
        terms.shape[1] == 1
    ):  # a single column NumPy would halve, and add the sums of the halves
        return np.add.accumulate(terms, axis=0)[-1]
    return np.add.reduce(terms, axis=0)


def povey_window(length: int) -> np.ndarray:
    """The analysis window [N] float32: Hann's, raised to 0.85."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / (length - 1) * np.arange(length))
    return (hann**0.85).astype(np.float32)


def lifter(num_ceps: int) -> np.ndarray:
    """What cepstra are multiplied with, [C] float32."""
    places = np.arange(num_ceps)
    return (1.0 + 0.5 * LIFTER * np.sin(np.pi * places / LIFTER)).astype(np.float32)


@functools.cache
def _cosines(num_ceps: int, num_mels: int) -> np.ndarray:
    """Rows 1 ... C - 1 of the orthonormal cosine transform, [C - 1, M, 1] float32."""
    angles = np.pi / num_mels * (np.arange(num_mels) + 0.5)
    rows = np.cos(angles * np.arange(1, num_ceps)[:, None])
    scale = np.float32(np.sqrt(2.0 / num_mels))
    return (np.float64(scale) * rows).astype(np.float32)[:, :, None]


def bands(filters: np.ndarray) -> tuple[Band, ...]:
    """Where filters [fft / 2 + 1, M] are not zero."""
    found = []
    for weights in filters.T:
        places = np.flatnonzero(weights)
        reach = slice(places[0], places[-1] + 1)
        found.append((reach, weights[reach, None]))
    return tuple(found)


def centred(frames: np.ndarray) -> np.ndarray:
    """Frames [T, N] in [-1, 1] as columns [N, T] in 16-bit range, each without its mean."""
    samples = np.empty(frames.shape[::-1], np.float32)
    np.multiply(frames.T, np.float32(INT16_RANGE), out=samples)
    samples -= _sum_rows(samples) / np.float32(len(samples))
    return samples


def log_energy(samples: np.ndarray) -> np.ndarray:
    """Log energies [T] float32 of columns [N, T]."""
    energy = _sum_rows(np.square(samples))
    return _log(np.maximum(energy, np.float32(ENERGY_FLOOR)))


def _windowed(samples: np.ndarray, window: np.ndarray, fft_length: int) -> np.ndarray:
    """Each of [N, T] less a share of the one before, the first of its own; zeros below."""
    filled = np.zeros((fft_length, samples.shape[1]), np.float32)
    outputs = filled[: len(samples)]
    np.multiply(samples[:-1], np.float32(PREEMPHASIS), out=outputs[1:])
    np.multiply(samples[0], np.float32(PREEMPHASIS), out=outputs[0])
    np.subtract(samples, outputs, out=outputs)
    outputs *= window[:, None]
    return filled


def log_filterbank(
    samples: np.ndarray, window: np.ndarray, bands: Sequence[Band], fft_length: int
) -> np.ndarray:
    """Log mel energies.

    Args:
        samples: [N, T] float32, of `centred`.
        window: [N] float32.
        bands: of each filter.
        fft_length: a power of two, at least N.

    Returns:
        [M, T] float32.
    """
    real, imag = rfft(_windowed(samples, window, fft_length))
    power = np.square(real, out=real)
    power += np.square(imag, out=imag)
    energies = np.empty((len(bands), samples.shape[1]), np.float32)
    for energy, (reach, weights) in zip(energies, bands, strict=True):
        energy[:] = _sum_rows(power[reach] * weights)
    return _log(np.maximum(energies, np.float32(ENERGY_FLOOR), out=energies))


def cepstra(log_mel: np.ndarray, energy: np.ndarray, num_ceps: int) -> np.ndarray:
    """Liftered cepstra [C, T] float32 of log mel energies [M, T], log energies [T] for C0."""
    outputs = np.empty((num_ceps, log_mel.shape[1]), np.float32)
    outputs[0] = energy
    for output, cosines in zip(
        outputs[1:], _cosines(num_ceps, len(log_mel)), strict=True
    ):
        output[:] = _sum_rows(log_mel * cosines)
    outputs[1:] *= lifter(num_ceps)[1:, None]
    return outputs
