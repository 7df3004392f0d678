"""Kaldi's filterbank and MFCC in float32, rounding by rounding as kaldi-native-fbank makes them.

Far below the loudest bin of a frame there is little but rounding, so only a calculation that
rounds in the same order agrees there. Arrays hold a frame in a column: what is done to one
sample, bin or filter is done to all frames at once, and no frame sees another.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.fourier import rfft

ENERGY_FLOOR = 2.0**-23  # FLT_EPSILON, under which Kaldi takes no logarithm
INT16_RANGE = 32768.0  # Kaldi's samples are 16-bit integers
PREEMPHASIS = 0.97
LIFTER = 22.0


def _log(values: np.ndarray) -> np.ndarray:
    """Logarithms [...] float32, rounded once; NumPy's own of float32 may be off by several."""
    return np.log(values, dtype=np.float64).astype(np.float32)


def mel_of(hertz: np.ndarray | float) -> np.ndarray:
    """HTK's mel scale, float32."""
    ratio = np.asarray(hertz, np.float32) / np.float32(700.0)
    return np.float32(1127.0) * _log(np.float32(1.0) + ratio)


def _sum(terms: np.ndarray) -> np.ndarray:
    """Sums [...] of terms [K, ...], added one after the other."""
    if terms[0].size == 1:  # NumPy sums what is one column by halves
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
    """Columns 1 ... C - 1 of the orthonormal cosine transform, [M, C - 1, 1] float32."""
    angles = np.pi / num_mels * (np.arange(num_mels) + 0.5)
    columns = np.cos(angles[:, None] * np.arange(1, num_ceps))
    scale = np.float64(np.float32(np.sqrt(2.0 / num_mels)))
    return (scale * columns).astype(np.float32)[:, :, None]


@dataclass(frozen=True, eq=False)
class Bands:
    """Filters of about the same width, without the zeros around them.

    A sum over K is taken of all filters and frames at once, in the order of the bins.

    Attributes:
        filters: which they are, [M'].
        bins: that each sees, [K, M'].
        weights: of these, [K, M', 1] float32, zero past the end of a filter.
    """

    filters: np.ndarray
    bins: np.ndarray
    weights: np.ndarray


def bands_of(matrix: np.ndarray) -> tuple[Bands, ...]:
    """The filters [fft / 2 + 1, M], those of up to 4, 8, 16 ... bins together."""
    seen = matrix > 0
    firsts, widths = seen.argmax(axis=0), seen.sum(axis=0)
    sizes = np.maximum(4, 2 ** np.ceil(np.log2(widths)).astype(int))
    found = []
    for size in np.unique(sizes):
        filters = np.flatnonzero(sizes == size)
        steps = np.arange(widths[filters].max())[:, None]
        bins = np.minimum(firsts[filters] + steps, len(matrix) - 1)
        weights = np.where(steps < widths[filters], matrix[bins, filters], 0)
        found.append(Bands(filters, bins, weights[:, :, None]))
    return tuple(found)


def centred(frames: np.ndarray) -> np.ndarray:
    """Frames [T, N] in [-1, 1] as columns [N, T] in 16-bit range, each without its mean."""
    samples = np.empty(frames.shape[::-1], np.float32)
    np.multiply(frames.T, np.float32(INT16_RANGE), out=samples)
    samples -= _sum(samples) / np.float32(len(samples))
    return samples


def log_energy(samples: np.ndarray) -> np.ndarray:
    """Log energies [T] float32 of columns [N, T]."""
    energy = _sum(np.square(samples))
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
    samples: np.ndarray, window: np.ndarray, bands: Sequence[Bands], fft_length: int
) -> np.ndarray:
    """Log mel energies.

    Args:
        samples: [N, T] float32, of `centred`.
        window: [N] float32.
        bands: of M filters together.
        fft_length: a power of two, at least N.

    Returns:
        [M, T] float32.
    """
    real, imag = rfft(_windowed(samples, window, fft_length))
    power = np.square(real, out=real)
    power += np.square(imag, out=imag)
    num_mels = sum(len(band.filters) for band in bands)
    energies = np.empty((num_mels, samples.shape[1]), np.float32)
    for band in bands:
        terms = power[band.bins]  # [K, M', T]
        terms *= band.weights
        energies[band.filters] = _sum(terms)
    return _log(np.maximum(energies, np.float32(ENERGY_FLOOR), out=energies))


def cepstra(log_mel: np.ndarray, energy: np.ndarray, num_ceps: int) -> np.ndarray:
    """Liftered cepstra [C, T] float32 of log mel energies [M, T], log energies [T] for C0."""
    outputs = np.empty((num_ceps, log_mel.shape[1]), np.float32)
    outputs[0] = energy
    outputs[1:] = _sum(log_mel[:, None] * _cosines(num_ceps, len(log_mel)))
    outputs[1:] *= lifter(num_ceps)[1:, None]
    return outputs
