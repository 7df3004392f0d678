"""The float32 transform against float64's, and to the bit against kaldi-native-fbank's."""

import platform

import kaldi_native_fbank as knf
import numpy as np
import pytest

from features.fourier import rfft

LENGTHS = [2**power for power in range(1, 13)]
UNIT = 2.0**-24  # half the distance of float32 numbers at 1


def columns(length: int, count: int = 5) -> np.ndarray:
    """Noise, each column ten times as loud as the one before."""
    rng = np.random.default_rng(length)
    loudness = 10.0 ** np.arange(count)
    return (loudness * rng.normal(size=(length, count))).astype(np.float32)


@pytest.mark.parametrize("length", LENGTHS)
def test_it_is_the_transform(length):
    samples = columns(length)
    real, imag = rfft(samples)
    assert real.shape == imag.shape == (length // 2 + 1, 5)
    assert real.dtype == imag.dtype == np.float32
    expected = np.fft.rfft(samples.astype(np.float64), axis=0)
    loudest = np.abs(expected).max(axis=0)
    # Each of log2 N sums may round once: in a column, by a unit of its loudest bin.
    error = np.abs(real + 1j * imag - expected) / loudest
    assert error.max() <= UNIT * np.log2(length)


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="other wheels are compiled to other orders"
)
@pytest.mark.parametrize("length", LENGTHS)
def test_it_rounds_as_kaldi_native_fbank(length):
    samples = columns(length)
    real, imag = rfft(samples)
    theirs = knf.Rfft(length)
    for place, column in enumerate(samples.T):
        # Bins 0 and N / 2, which are real, come first.
        found = np.array(theirs.compute(column.tolist()), np.float32)
        assert [real[0, place], real[-1, place]] == found[:2].tolist()
        np.testing.assert_array_equal(real[1:-1, place], found[2::2])
        np.testing.assert_array_equal(imag[1:-1, place], found[3::2])


def test_a_column_does_not_see_the_others():
    samples = columns(256, 9)
    together = np.stack(rfft(samples))
    alone = [np.stack(rfft(column[:, None])) for column in samples.T]
    np.testing.assert_array_equal(together, np.concatenate(alone, axis=2))
