"""Kaldi's filterbank and MFCC of a waveform, rounding by rounding as kaldi-native-fbank makes them.

Far below the loudest bin of a frame there is little but rounding, so only a calculation that
rounds in the same order agrees there: sums are taken one term after the other. Some frames at
a time go side by side, one in a column: what is done to one sample, bin or filter is done to
all of them at once, and no frame sees another.

The code is compiled, and frees Python's lock while it runs.
"""

from typing import NamedTuple

import numba
import numpy as np

from features.fourier import Turns, transform, turns_of
from features.kaldi import ENERGY_FLOOR, INT16_RANGE, PREEMPHASIS

_TOGETHER = 32  # frames: what is between stays in the processor's nearer caches
_FLOOR, _RANGE, _SHARE = map(np.float32, (ENERGY_FLOOR, INT16_RANGE, PREEMPHASIS))


class Filterbank(NamedTuple):
    """How frames are cut and summed.

    Attributes:
        shift: samples from one frame to the next.
        window: [N] float32.
        turns: of a transform of at least N samples.
        weights: of filters, [M, fft / 2 + 1] float32.
        firsts, ends: the bins [first, end) that a filter sees, [M].
    """

    shift: int
    window: np.ndarray
    turns: Turns
    weights: np.ndarray
    firsts: np.ndarray
    ends: np.ndarray


def filterbank_of(matrix: np.ndarray, window: np.ndarray, *, shift: int) -> Filterbank:
    """Arranges filters for summing.

    Args:
        matrix: filters, [fft / 2 + 1, M] float32, each one run of bins.
        window: [N] float32.
        shift: samples from one frame to the next.
    """
    seen = matrix > 0
    firsts = seen.argmax(axis=0)
    turns = turns_of(2 * (len(matrix) - 1))
    weights = np.ascontiguousarray(matrix.T)
    return Filterbank(shift, window, turns, weights, firsts, firsts + seen.sum(axis=0))


@numba.njit(cache=True, nogil=True)
def _turned(samples: np.ndarray, start: int, rows: np.ndarray) -> None:
    """Samples in 16-bit range as [H, W]: in column w those of the shift `start` + w.

    Sample n of frame `start` + c is at row n % H, column c + n // H: what neighbouring frames
    share is turned once. Behind the end there are zeros.
    """
    shift, width = rows.shape
    for w in range(width):
        first = (start + w) * shift
        there = min(max(len(samples) - first, 0), shift)
        for h in range(there):
            rows[h, w] = samples[first + h] * _RANGE
        for h in range(there, shift):
            rows[h, w] = 0


@numba.njit(cache=True, nogil=True)
def _windowed(
    rows: np.ndarray,
    window: np.ndarray,
    means: np.ndarray,
    outputs: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Frames as columns [N, C]: each sample less the mean and a share of the sample before.

    The first is less a share of its own.

    Args:
        rows: as of `_turned`.
        window: [N].
        means: of the frames, an output, [C].
        outputs: [N or more, C].
        sums: of the squares of samples without the mean, an output, [C].
    """
    shift, count = len(rows), len(means)
    means[:] = 0
    for n in range(len(window)):
        heard = rows[n % shift, n // shift :]
        for c in range(count):
            means[c] += heard[c]
    for c in range(count):
        means[c] /= np.float32(len(window))
    sums[:] = 0
    before = rows[0]
    for n in range(len(window)):
        heard = rows[n % shift, n // shift :]
        for c in range(count):
            here, last = heard[c] - means[c], before[c] - means[c]
            sums[c] += here * here
            outputs[n, c] = (here - _SHARE * last) * window[n]
        before = heard


@numba.njit(cache=True, nogil=True)
def _filtered(samples: np.ndarray, bank: Filterbank) -> tuple[np.ndarray, np.ndarray]:
    """Mel energies [T, M], and energies [T] of frames, at least the floor."""
    length, bins = len(bank.window), bank.weights.shape[1]
    count = 1 + (len(samples) - length) // bank.shift
    mel = np.empty((count, len(bank.weights)), np.float32)
    energy = np.empty(count, np.float32)
    width = _TOGETHER + (length - 1) // bank.shift
    rows = np.empty((bank.shift, width), np.float32)
    filled = np.zeros((2 * (bins - 1), _TOGETHER), np.float32)
    real = np.empty((bins, _TOGETHER), np.float32)
    imag = np.empty_like(real)
    means, sums = np.empty(_TOGETHER, np.float32), np.empty(_TOGETHER, np.float32)
    for start in range(0, count, _TOGETHER):
        here = min(_TOGETHER, count - start)
        _turned(samples, start, rows)
        _windowed(rows, bank.window, means, filled, sums)
        for c in range(here):
            energy[start + c] = max(sums[c], _FLOOR)
        transform(filled, bank.turns, real, imag)
        for k in range(bins):
            for c in range(_TOGETHER):
                real[k, c] = real[k, c] * real[k, c] + imag[k, c] * imag[k, c]
        for m in range(len(bank.weights)):
            sums[:] = 0
            for k in range(bank.firsts[m], bank.ends[m]):
                weight = bank.weights[m, k]
                for c in range(_TOGETHER):
                    sums[c] += real[k, c] * weight
            for c in range(here):
                mel[start + c, m] = max(sums[c], _FLOOR)
    return mel, energy


def log_filterbank(
    samples: np.ndarray, bank: Filterbank
) -> tuple[np.ndarray, np.ndarray]:
    """Log mel energies, and log energies of frames, each rounded once.

    Args:
        samples: [S] float32 in [-1, 1], at least a frame of N.
        bank: of M filters.

    Returns:
        [T, M] and [T] float32, T = 1 + (S - N) // shift.
    """
    mel, energy = _filtered(samples, bank)
    log_mel, log_energy = (np.log(e, dtype=np.float64) for e in (mel, energy))
    return log_mel.astype(np.float32), log_energy.astype(np.float32)


@numba.njit(cache=True, nogil=True)
def cepstra(
    log_mel: np.ndarray, log_energy: np.ndarray, cosines: np.ndarray, lifter: np.ndarray
) -> np.ndarray:
    """Liftered cepstra [T, C] float32.

    Args:
        log_mel: [T, M] float32.
        log_energy: [T] float32, in place of C0.
        cosines: of the others, [C - 1, M] float32.
        lifter: [C] float32.
    """
    outputs = np.empty((len(log_mel), len(lifter)), np.float32)
    for t in range(len(log_mel)):
        outputs[t, 0] = log_energy[t]
        for i in range(len(cosines)):
            total = np.float32(0)
            for m in range(log_mel.shape[1]):
                total += log_mel[t, m] * cosines[i, m]
            outputs[t, i + 1] = total * lifter[i + 1]
    return outputs
