"""The Fourier transform of real float32 columns, each rounding at a known place.

Libraries order the sums of a transform as suits the machine, and so differ in the last bits. In
bins far below the loudest there is little else. Here the order is that of kissfft as the x86-64
wheels of kaldi-native-fbank 1.22 hold it: radix 4, and radix 2 first where the length asks for
it. Its compiler was free to regroup sums: where the product of two complex numbers, p - q in its
real part, is added to something, p and q are added one after the other.

References:
    Cooley & Tukey 1965; Sorensen et al. 1987 (real input);
    github.com/mborgerding/kissfft (factors and equations; the grouping is the wheel's own).
"""

import functools

import numpy as np

Complex = tuple[np.ndarray, np.ndarray]  # real and imaginary parts


def _turns(angles: np.ndarray) -> Complex:
    """exp(i angle) in float32, rounded from float64."""
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


@functools.cache
def _twiddles(length: int) -> Complex:
    """exp(-2 pi i j k / length) for j = 1, 2, 3 and k below length / 4, [3, length / 4, 1]."""
    exponents = np.outer([1, 2, 3], np.arange(length // 4))
    return _turns(-2 * np.pi * exponents[:, :, None] / length)


@functools.cache
def _half_turns(length: int) -> Complex:
    """-i exp(-pi i k / length) for k = 1 ... length / 2, [length / 2, 1]."""
    places = np.arange(1, length // 2 + 1)[:, None]
    return _turns(-np.pi * (places / length + 0.5))


def _product(
    real: np.ndarray, imag: np.ndarray, turns: Complex
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parts p, q and r of complex numbers times `turns`, which are p - q + i r."""
    cosines, sines = turns
    turned = imag * cosines
    turned += real * sines
    return real * cosines, imag * sines, turned


def _pairs(real: np.ndarray, imag: np.ndarray) -> Complex:
    """Transforms of length 2: a and b, C columns apart in [1, 2 C], to a + b and a - b, [2, C]."""
    a_real, b_real = real.reshape(2, -1)
    a_imag, b_imag = imag.reshape(2, -1)
    return (
        np.stack([a_real + b_real, a_real - b_real]),
        np.stack([a_imag + b_imag, a_imag - b_imag]),
    )


def _fours(real: np.ndarray, imag: np.ndarray) -> Complex:
    """Joins every four transforms of length K to one of length 4 K.

    The four are of every fourth sample, from sample 0, 1, 2 and 3 on. With a, b, c, d for their
    bins k, w = exp(-2 pi i / 4 K), b' = w^k b, c' = w^2k c and d' = w^3k d:

        X[k]       = (a + c') +   (b' + d')
        X[k + K]   = (a - c') - i (b' - d')
        X[k + 2 K] = (a + c') -   (b' + d')
        X[k + 3 K] = (a - c') + i (b' - d')

    Args:
        real, imag: [K, 4 C] float32, those to be joined C columns apart.

    Returns:
        [4 K, C] float32 each.
    """
    size = len(real)
    real = real.reshape(size, 4, -1).swapaxes(0, 1)
    imag = imag.reshape(size, 4, -1).swapaxes(0, 1)
    p, q, turned = real[1:], np.zeros((3, 1, 1), np.float32), imag[1:]
    if size > 1:
        p, q, turned = _product(p, turned, _twiddles(4 * size))
    reals = np.empty(real.shape, np.float32)
    imags = np.empty(real.shape, np.float32)
    b = p[0] - q[0]

    even, odd = real[0] + p[1], b - q[2]
    even -= q[1]
    odd += p[2]
    np.add(even, odd, out=reals[0])
    np.subtract(even, odd, out=reals[2])

    even, odd = imag[0] + turned[1], turned[0] + turned[2]
    np.add(even, odd, out=imags[0])
    np.subtract(even, odd, out=imags[2])

    even = real[0] + q[1]
    even -= p[1]
    np.add(even, turned[0], out=reals[1])
    reals[1] -= turned[2]
    np.add(even, turned[2], out=reals[3])
    reals[3] -= turned[0]

    even, odd = imag[0] - turned[1], b - p[2]
    odd += q[2]
    np.subtract(even, odd, out=imags[1])
    np.add(even, odd, out=imags[3])
    return reals.reshape(4 * size, -1), imags.reshape(4 * size, -1)


def _complex(real: np.ndarray, imag: np.ndarray) -> Complex:
    """Spectra Z [L, T] of complex columns [L, T], L a power of two."""
    shape = real.shape
    real, imag = real.reshape(1, -1), imag.reshape(1, -1)
    if shape[0].bit_length() % 2 == 0:  # two to an odd power
        real, imag = _pairs(real, imag)
    while len(real) < shape[0]:
        real, imag = _fours(real, imag)
    return real, imag


def rfft(samples: np.ndarray) -> Complex:
    """The spectra X of real columns.

    Even and odd samples are the real and imaginary parts of a signal of half the length L,
    whose spectrum is Z. With * for the conjugate and Z[L] = Z[0]:

        X[k]     =  (Z[k] + Z*[L - k] - i exp(-pi i k / L) (Z[k] - Z*[L - k])) / 2
        X[L - k] = ((Z[k] + Z*[L - k] + i exp(-pi i k / L) (Z[k] - Z*[L - k])) / 2)*

    Args:
        samples: [N, T] float32, N >= 2 a power of two.

    Returns:
        Real and imaginary parts of bins 0 ... N / 2, [N / 2 + 1, T] float32 each.
    """
    real, imag = _complex(samples[0::2], samples[1::2])
    length = len(real)
    reals = np.empty((length + 1, samples.shape[1]), np.float32)
    imags = np.zeros(reals.shape, np.float32)
    np.add(real[0], imag[0], out=reals[0])
    np.subtract(real[0], imag[0], out=reals[-1])
    if length == 1:
        return reals, imags
    k = slice(1, length // 2 + 1)
    mirrored = slice(length - 1, length // 2 - 1, -1)
    even_real, even_imag = real[k] + real[mirrored], imag[k] - imag[mirrored]
    odd_real, odd_imag = real[k] - real[mirrored], imag[k] + imag[mirrored]
    p, q, turned = _product(odd_real, odd_imag, _half_turns(length))
    np.add(even_real, p, out=reals[k])
    reals[k] -= q
    np.add(even_real, q, out=reals[mirrored])
    reals[mirrored] -= p
    np.add(even_imag, turned, out=imags[k])
    np.subtract(turned, even_imag, out=imags[mirrored])
    reals[1:-1] *= np.float32(0.5)
    imags[1:-1] *= np.float32(0.5)
    return reals, imags
