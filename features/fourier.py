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
    inputs: tuple[np.ndarray, np.ndarray],
    outputs: tuple[np.ndarray, np.ndarray],
    products: np.ndarray,
    size: int,
    turns: Turns,
) -> None:
    """Joins every four transforms of length K to one of length 4 K.

    The four are of every fourth sample, from sample 0, 1, 2 and 3 on. With a, b, c, d for their
    bins k, w = exp(-2 pi i / 4 K), b' = w^k b, c' = w^2k c and d' = w^3k d:

        X[k]       = (a + c') +   (b' + d')
        X[k + K]   = (a - c') - i (b' - d')
        X[k + 2 K] = (a + c') -   (b' + d')
        X[k + 3 K] = (a - c') + i (b' - d')

    Loops are short, for those with many arrays do not become vector code.

    Args:
        inputs: real and imaginary parts, [K, 4, C] float32 in the memory of [L, T].
        outputs: likewise [4, K, C].
        products: room for p and q, whose difference is the real part, and r, the imaginary
            part, of b', c' and d', [3, 3, L T / 4].
        size: K.
        turns: of the whole transform.
    """
    width = inputs[0].size // (4 * size)
    real, imag = inputs[0].reshape(size, 4, width), inputs[1].reshape(size, 4, width)
    reals, imags = outputs[0].reshape(4, size, width), outputs[1].reshape(
        4, size, width
    )
    p, q, r = products[0], products[1], products[2]
    for k in range(size):
        a, b = real[k, 0], imag[k, 0]
        for j in range(3):
            place = (j + 1) * k * (len(turns.cosines) // (4 * size))
            cosine, sine = turns.cosines[place], turns.sines[place]
            for c in range(width):
                p[j, c] = real[k, j + 1, c] * cosine
            for c in range(width):
                q[j, c] = imag[k, j + 1, c] * sine
            for c in range(width):
                r[j, c] = imag[k, j + 1, c] * cosine + real[k, j + 1, c] * sine
        for c in range(width):
            odd = ((p[0, c] - q[0, c]) - q[2, c]) + p[2, c]
            reals[0, k, c] = ((a[c] + p[1, c]) - q[1, c]) + odd
        for c in range(width):
            odd = ((p[0, c] - q[0, c]) - q[2, c]) + p[2, c]
            reals[2, k, c] = ((a[c] + p[1, c]) - q[1, c]) - odd
        for c in range(width):
            imags[0, k, c] = (b[c] + r[1, c]) + (r[0, c] + r[2, c])
        for c in range(width):
            imags[2, k, c] = (b[c] + r[1, c]) - (r[0, c] + r[2, c])
        for c in range(width):
            reals[1, k, c] = (((a[c] + q[1, c]) - p[1, c]) + r[0, c]) - r[2, c]
        for c in range(width):
            reals[3, k, c] = (((a[c] + q[1, c]) - p[1, c]) + r[2, c]) - r[0, c]
        for c in range(width):
            odd = ((p[0, c] - q[0, c]) - p[2, c]) + q[2, c]
            imags[1, k, c] = (b[c] - r[1, c]) - odd
        for c in range(width):
            odd = ((p[0, c] - q[0, c]) - p[2, c]) + q[2, c]
            imags[3, k, c] = (b[c] - r[1, c]) + odd


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
    inputs = samples[0::2].copy(), samples[1::2].copy()
    outputs = np.empty_like(inputs[0]), np.empty_like(inputs[0])
    products = np.empty((3, 3, max(inputs[0].size // 4, 1)), np.float32)
    size = 1
    while 4 * size <= length:
        size *= 4
    if size < length:  # two to an odd power
        _pairs(inputs[0], outputs[0])
        _pairs(inputs[1], outputs[1])
        inputs, outputs = outputs, inputs
    size = length // size
    while size < length:
        _fours(inputs, outputs, products, size, turns)
        inputs, outputs = outputs, inputs
        size *= 4
    real, imag = inputs
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
