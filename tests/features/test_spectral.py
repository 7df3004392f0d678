"""Features against their equations and against librosa."""

import librosa
import numpy as np
import pytest

from features.errors import ConfigError, DataError
from features.spectral import FeatureOptions, compute_features, mel_filters

RATE = 16000


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """A voice of harmonics with moving formants, pauses and breath, in [-1, 1]."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(n * phase) / n for n in range(1, 25))
    voice *= 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    return (0.1 * voice + 0.01 * rng.normal(size=len(time))).astype(np.float32)


def test_the_librosa_filterbank_agrees_with_librosa():
    samples = speech_like(1.0)
    # What librosa.feature.melspectrogram gives; librosa.feature takes 20 s to compile.
    spectrum = librosa.stft(
        samples, n_fft=512, win_length=400, hop_length=160, center=False
    )
    filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40, fmin=20, fmax=8000)
    power = filters @ np.abs(spectrum) ** 2
    # librosa centres the window in the FFT's frame: its frame t is ours 56 samples later.
    shifted = compute_features(samples[56:], FeatureOptions())
    frames = min(len(shifted), power.shape[1])
    np.testing.assert_allclose(
        shifted[:frames], np.log(np.maximum(power.T[:frames], 1.19e-7)), atol=1e-3
    )


@pytest.mark.parametrize("rate_hz, mels, low_hz", [(16000, 40, 20.0), (8000, 23, 0.0)])
def test_the_filters_are_those_of_librosa(rate_hz, mels, low_hz):
    options = FeatureOptions(rate_hz=rate_hz, num_mels=mels, low_hz=low_hz)
    expected = librosa.filters.mel(
        sr=rate_hz, n_fft=options.fft_length, n_mels=mels, fmin=low_hz, fmax=rate_hz / 2
    )
    np.testing.assert_array_equal(mel_filters(options), expected.T)


def test_the_equation_of_one_frame():
    samples = speech_like(0.025)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(samples * window, 512)) ** 2
    mels = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40, fmin=20, fmax=8000)
    expected = np.log(np.maximum(mels @ power, np.finfo(np.float32).eps))
    np.testing.assert_allclose(
        compute_features(samples, FeatureOptions()), expected[None], atol=1e-4
    )


@pytest.mark.parametrize("samples", [400, 559, 560, 16000, 700_000])
def test_frames_are_whole(samples):
    frames = compute_features(np.ones(samples, np.float32), FeatureOptions())
    assert frames.shape == (1 + (samples - 400) // 160, 40)
    assert frames.dtype == np.float32


def test_long_recordings_give_the_same_frames_as_their_parts():
    samples = speech_like(60.0)
    whole = compute_features(samples, FeatureOptions())
    part = compute_features(samples[160 * 5000 :], FeatureOptions())
    # A matrix product may round otherwise when it has other rows beside.
    np.testing.assert_allclose(whole[5000:], part, atol=1e-5)


def test_less_than_a_frame_is_told():
    with pytest.raises(DataError, match="399 samples, less than one frame of 400"):
        compute_features(np.ones(399, np.float32), FeatureOptions())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high_hz": 9000}, "high_hz <= 8000|<= 8000"),
        ({"low_hz": 5000, "high_hz": 4000}, "low_hz < high_hz"),
        ({"kind": "mfcc", "num_ceps": 50}, "at most num_mels, 40"),
        ({"frame_shift_ms": 0.01}, "frame_shift_ms: expected at least one sample at"),
        ({"frame_length_ms": 0.01}, "frame_length_ms: .* got 0.01 ms"),
    ],
)
def test_wrong_options_are_told(changes, message):
    with pytest.raises(ConfigError, match=message):
        FeatureOptions(**changes)


def test_filters_that_would_be_empty_are_told():
    with pytest.raises(
        ConfigError, match="some filters would be empty; lower num_mels"
    ):
        compute_features(speech_like(0.1), FeatureOptions(preset="kaldi", num_mels=200))
