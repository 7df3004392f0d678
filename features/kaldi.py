"""What Kaldi's filterbank and MFCC multiply with, in float32, as kaldi-native-fbank rounds it."""

import functools

import numpy as np

ENERGY_FLOOR = 2.0**-23  # FLT_EPSILON, under which Kaldi takes no logarithm
INT16_RANGE = 32768.0  # Kaldi's samples are 16-bit integers
PREEMPHASIS = 0.97
LIFTER = 22.0


def mel_of(hertz: np.ndarray | float) -> np.ndarray:
    """HTK's mel scale, float32."""
    ratio = np.float32(1.0) + np.asarray(hertz, np.float32) / np.float32(700.0)
    # Rounded once: NumPy's own logarithm of float32 may be off by several units.
    return np.float32(1127.0) * np.log(ratio, dtype=np.float64).astype(np.float32)


def povey_window(length: int) -> np.ndarray:
    """The analysis window [N] float32: Hann's, raised to 0.85."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / (length - 1) * np.arange(length))
    return (hann**0.85).astype(np.float32)


def lifter(num_ceps: int) -> np.ndarray:
    """What cepstra are multiplied with, [C] float32."""
    places = np.arange(num_ceps)
    return (1.0 + 0.5 * LIFTER * np.sin(np.pi * places / LIFTER)).astype(np.float32)


@functools.cache
def cosines(num_ceps: int, num_mels: int) -> np.ndarray:
    """Columns 1 ... C - 1 of the orthonormal cosine transform, [C - 1, M] float32."""
    angles = np.pi / num_mels * (np.arange(num_mels) + 0.5)
    rows = np.cos(np.arange(1, num_ceps)[:, None] * angles)
    scale = np.float64(np.float32(np.sqrt(2.0 / num_mels)))
    return (scale * rows).astype(np.float32)
