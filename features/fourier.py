"""The Fourier transform of real float32 columns, each rounding at a known place.

Libraries order the sums of a transform as suits the machine, and so differ in the last bits. In
bins far below the loudest there is little else. Here the order is that of kissfft as the x86-64
wheels of kaldi-native-fbank 1.22 hold it: radix 4, and radix 2 first where the length asks for
it. Its compiler was free to regroup sums: where the product of two complex numbers, p - q in its
real part, is added to something, p and q are added one after the other.

The code is compiled, and frees Python's lock while it runs. numba keeps the order of a sum and
joins no product with one, so that it rounds as it is written.

References:
    Cooley & Tukey 1965; Sorensen et al. 1987 (real input);
    github.com/mborgerding/kissfft (factors and equations; the grouping is the wheel's own).
"""

import functools
from typing import NamedTuple

import numba
import numpy as np


class Turns(NamedTuple):
    """What a transform of N real numbers, of L = N / 2 complex ones, multiplies with.

    Attributes:
        cosines, sines: of exp(-2 pi i m / L) for m below L, [L] float32.
        half_cosines, half_sines: of -i exp(-pi i k / L) for k up to L / 2, [L / 2 + 1] float32.
    """

    cosines: np.ndarray
    sines: np.ndarray
    half_cosines: np.ndarray
    half_sines: np.ndarray


@functools.cache
def turns_of(length: int) -> Turns:
    """Those of a transform of N real numbers, rounded from float64."""
    half = length // 2
    whole = -2 * np.pi * np.arange(half) / half
    halves = -np.pi * (np.arange(half // 2 + 1) / half + 0.5)
    parts = np.cos(whole), np.sin(whole), np.cos(halves), np.sin(halves)
    return Turns(*(part.astype(np.float32) for part in parts))


@numba.njit(cache=True, nogil=True)
def _pairs(inputs: np.ndarray, outputs: np.ndarray) -> None:
    """Transforms of length 2 of the columns of [L, C], C at a time: half the rows apart."""
    half = len(inputs) // 2
    for k in range(half):
        for c in range(inputs.shape[1]):
            outputs[k, c] = inputs[k, c] + inputs[k + half, c]
        for c in range(inputs.shape[1]):
            outputs[k + half, c] = inputs[k, c] - inputs[k + half, c]


@numba.njit(cache=True, nogil=True)
def _fours(
    real: np.ndarray,
    imag: np.ndarray,
    reals: np.ndarray,
    imags: np.ndarray,
    turns: Turns,
) -> None:
    """Joins every four transforms of length K to one of length 4 K.

    The four are of every fourth sample, from sample 0, 1, 2 and 3 on. With a, b, c, d for their
    bins k, w = exp(-2 pi i / 4 K), b' = w^k b, c' = w^2k c and d' = w^3k d:

        X[k]       = (a + c') +   (b' + d')
        X[k + K]   = (a - c') - i (b' - d')
        X[k + 2 K] = (a + c') -   (b' + d')
        X[k + 3 K] = (a - c') + i (b' - d')

    Here p - q is the real part of b', c' and d', and r the imaginary part.

    Args:
        real, imag: inputs, [K, 4, C] float32.
        reals, imags: outputs, [4, K, C].
        turns: of the whole transform.
    """
    size, _, width = real.shape
    step = len(turns.cosines) // (4 * size)
    for k in range(size):
        cos_b, sin_b = turns.cosines[k * step], turns.sines[k * step]
        cos_c, sin_c = turns.cosines[2 * k * step], turns.sines[2 * k * step]
        cos_d, sin_d = turns.cosines[3 * k * step], turns.sines[3 * k * step]
        for c in range(width):
            p_b, q_b = real[k, 1, c] * cos_b, imag[k, 1, c] * sin_b
            p_c, q_c = real[k, 2, c] * cos_c, imag[k, 2, c] * sin_c
            p_d, q_d = real[k, 3, c] * cos_d, imag[k, 3, c] * sin_d
            r_b = imag[k, 1, c] * cos_b + real[k, 1, c] * sin_b
            r_c = imag[k, 2, c] * cos_c + real[k, 2, c] * sin_c
            r_d = imag[k, 3, c] * cos_d + real[k, 3, c] * sin_d
            even, odd = (real[k, 0, c] + p_c) - q_c, ((p_b - q_b) - q_d) + p_d
            reals[0, k, c], reals[2, k, c] = even + odd, even - odd
            even, odd = imag[k, 0, c] + r_c, r_b + r_d
            imags[0, k, c], imags[2, k, c] = even + odd, even - odd
            even = (real[k, 0, c] + q_c) - p_c
            reals[1, k, c], reals[3, k, c] = (even + r_b) - r_d, (even + r_d) - r_b
            even, odd = imag[k, 0, c] - r_c, ((p_b - q_b) - p_d) + q_d
            imags[1, k, c], imags[3, k, c] = even - odd, even + odd


@numba.njit(cache=True, nogil=True)
def transform(
    samples: np.ndarray, turns: Turns, reals: np.ndarray, imags: np.ndarray
) -> None:
    """The spectra X of real columns.

    Even and odd samples are the real and imaginary parts of a signal of half the length L,
    whose spectrum is Z. With * for the conjugate and Z[L] = Z[0]:

        X[k]     =  (Z[k] + Z*[L - k] - i exp(-pi i k / L) (Z[k] - Z*[L - k])) / 2
        X[L - k] = ((Z[k] + Z*[L - k] + i exp(-pi i k / L) (Z[k] - Z*[L - k])) / 2)*

    Args:
        samples: [N, T] float32, N >= 2 a power of two.
        turns: of N.
        reals, imags: outputs, real and imaginary parts of bins 0 ... N / 2,
            [N / 2 + 1, T] float32.
    """
    length, count = len(samples) // 2, samples.shape[1]
    real, imag = samples[0::2].copy(), samples[1::2].copy()
    other_real, other_imag = np.empty_like(real), np.empty_like(imag)
    size = 1
    while 4 * size <= length:
        size *= 4
    if size < length:  # two to an odd power
        _pairs(real, other_real)
        _pairs(imag, other_imag)
        real, imag, other_real, other_imag = other_real, other_imag, real, imag
    size = length // size
    while size < length:
        width = real.size // (4 * size)
        _fours(
            real.reshape(size, 4, width),
            imag.reshape(size, 4, width),
            other_real.reshape(4, size, width),
            other_imag.reshape(4, size, width),
            turns,
        )
        real, imag, other_real, other_imag = other_real, other_imag, real, imag
        size *= 4
    for c in range(count):
        reals[0, c], imags[0, c] = real[0, c] + imag[0, c], 0
        reals[length, c], imags[length, c] = real[0, c] - imag[0, c], 0
    half = np.float32(0.5)
    for k in range(1, length // 2 + 1):
        mirrored = length - k
        cosine, sine = turns.half_cosines[k], turns.half_sines[k]
        for c in range(count):
            odd_real, odd_imag = (
                real[k, c] - real[mirrored, c],
                imag[k, c] + imag[mirrored, c],
            )
            p, q, r = (
                odd_real * cosine,
                odd_imag * sine,
                odd_imag * cosine + odd_real * sine,
            )
            even_real, even_imag = (
                real[k, c] + real[mirrored, c],
                imag[k, c] - imag[mirrored, c],
            )
            reals[k, c] = ((even_real + p) - q) * half
            imags[k, c] = (even_imag + r) * half
            reals[mirrored, c] = ((even_real + q) - p) * half
            imags[mirrored, c] = (r - even_imag) * half


def rfft(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts [N / 2 + 1, T] of the spectra of real columns, see `transform`.

    Args:
        samples: [N, T] float32, N >= 2 a power of two.
    """
    shape = len(samples) // 2 + 1, samples.shape[1]
    real, imag = np.empty(shape, np.float32), np.empty(shape, np.float32)
    transform(np.ascontiguousarray(samples), turns_of(len(samples)), real, imag)
    return real, imag
