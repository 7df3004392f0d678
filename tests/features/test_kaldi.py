"""Kaldi's preset against Kaldi's own code, and against the same equations in float64.

A float32 transform leaves rounding noise in every bin, some 1e-7 of the loudest bin's amplitude;
in a bin d nats of energy below the loudest that is exp(d / 2) times as much of the bin itself.
From about 17 nats down two codes agree only when they round in the same order, as these two do:
what is left between them is the last bit of a logarithm here and there.
"""

import platform
from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import pytest
import soundfile

from features.spectral import FeatureOptions, compute_features

RATE = 16000
AGREEMENT = 1e-4  # log units; the last bits of filters, logarithms and 23 cosines
FLOAT32_SUMS = 2e-4  # of the conditioning and the filters, at any depth
FLOAT32_FFT = (
    2**-22
)  # four times the unit roundoff: twice for the square, twice for the sums
CORPUS = Path(__file__).parents[2].parent / "shared/corpora/speechocean762"

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="other wheels are compiled to other orders"
)


def voice(*, peak: float, seed: int = 0) -> np.ndarray:
    """Two seconds of a low voice over faint breath, 16-bit samples in [-1, 1]."""
    rng = np.random.default_rng(seed)
    time = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    # Harmonics fall by 18 dB an octave: a closed vowel, which the breath is far below.
    signal = sum(np.sin(n * phase) / n**3 for n in range(1, 25))
    signal *= 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    signal = signal / np.abs(signal).max() + 1e-4 * rng.normal(size=len(time))
    return (np.round(peak * 32767 * signal) / 32768).astype(np.float32)


def hum() -> np.ndarray:
    """A second of a loud tone in noise that is 120 dB below, of float samples."""
    tone = 0.9 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    faint = 1e-6 * np.random.default_rng(0).normal(size=RATE)
    return (tone + faint).astype(np.float32)


def kaldi(samples: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """The features [T, F] by kaldi-native-fbank, without dither."""
    fbank = options.kind == "fbank"
    theirs = knf.FbankOptions() if fbank else knf.MfccOptions()
    theirs.frame_opts.dither = 0
    theirs.frame_opts.samp_freq = options.rate_hz
    theirs.frame_opts.frame_length_ms = options.frame_length_ms
    theirs.frame_opts.frame_shift_ms = options.frame_shift_ms
    theirs.mel_opts.num_bins = options.num_mels
    theirs.mel_opts.low_freq = options.low_hz
    theirs.mel_opts.high_freq = options.high_hz
    if not fbank:
        theirs.num_ceps = options.num_ceps
    online = (knf.OnlineFbank if fbank else knf.OnlineMfcc)(theirs)
    online.accept_waveform(options.rate_hz, (samples * 32768).tolist())
    online.input_finished()
    return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])


def exact(samples: np.ndarray, num_mels: int) -> np.ndarray:
    """The log filterbank [T, M] from its equations, all in float64."""
    views = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 400)
    frames = 32768 * views[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
    power = np.abs(np.fft.rfft((frames - 0.97 * before) * hann**0.85, 512)) ** 2
    mels = 1127 * np.log1p(np.arange(256) * RATE / 512 / 700)
    edges = np.linspace(
        1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), num_mels + 2
    )
    energies = [
        power[:, :256] @ np.interp(mels, edges[m : m + 3], [0, 1, 0], left=0, right=0)
        for m in range(num_mels)
    ]
    return np.log(np.maximum(np.stack(energies, axis=1), 2.0**-23))


def check(samples: np.ndarray, **settings) -> None:
    """Holds ours to Kaldi's in every value."""
    options = FeatureOptions(preset="kaldi", **settings)
    ours, theirs = compute_features(samples, options), kaldi(samples, options)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=AGREEMENT)


SIGNALS = {"loud": voice(peak=0.9), "quiet": voice(peak=0.01), "hum": hum()}


@pytest.mark.parametrize("num_mels", [23, 40, 80])
@pytest.mark.parametrize("signal", SIGNALS)
def test_filterbanks_agree_in_every_bin(signal, num_mels):
    check(SIGNALS[signal], num_mels=num_mels)


@pytest.mark.parametrize("num_mels", [23, 40])
@pytest.mark.parametrize("signal", SIGNALS)
def test_cepstra_agree(signal, num_mels):
    check(SIGNALS[signal], kind="mfcc", num_mels=num_mels)


@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize(
    "settings",
    [
        {"rate_hz": 8000},
        {"rate_hz": 44100},
        {"rate_hz": 11025, "frame_length_ms": 32.0, "low_hz": 64.0, "high_hz": 5000.0},
        {"frame_length_ms": 10.0, "frame_shift_ms": 5.0, "high_hz": 7600.0},
        {"frame_length_ms": 64.0, "low_hz": 0.0},
        {"frame_shift_ms": 7.0},
        {"frame_shift_ms": 25.0},
        {"frame_shift_ms": 30.0},  # with gaps
    ],
    ids=str,
)
def test_other_frames_and_bands_agree(settings, kind):
    check(SIGNALS["loud"], kind=kind, num_mels=23, **settings)


@pytest.mark.parametrize("num_mels", [23, 40, 80])
@pytest.mark.parametrize("signal", SIGNALS)
def test_both_are_as_exact_as_float32_allows(signal, num_mels):
    samples = SIGNALS[signal]
    options = FeatureOptions(preset="kaldi", num_mels=num_mels)
    truth = exact(samples, num_mels)
    depth = truth.max(axis=1, keepdims=True) - truth  # nats below the loudest bin
    allowed = FLOAT32_SUMS + FLOAT32_FFT * np.exp(depth / 2)
    assert (np.abs(compute_features(samples, options) - truth) <= allowed).all()
    assert (np.abs(kaldi(samples, options) - truth) <= allowed).all()


def test_neither_is_exact_far_below_the_peak():
    # So the agreement there is one of the order of rounding.
    options = FeatureOptions(preset="kaldi")
    ours = compute_features(hum(), options)
    assert np.abs(ours - exact(hum(), options.num_mels)).max() > 100 * AGREEMENT


@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize("count", [1, 2, 3, 9, 81])
def test_a_frame_does_not_see_the_others(count, kind):
    options = FeatureOptions(preset="kaldi", kind=kind, num_mels=23)
    samples = SIGNALS["loud"]
    few = compute_features(samples[160 * 5 :][: 400 + 160 * (count - 1)], options)
    whole = compute_features(samples, options)
    np.testing.assert_array_equal(few, whole[5 : 5 + count])


def test_any_array_of_samples_is_taken():
    options = FeatureOptions(preset="kaldi")
    samples = SIGNALS["loud"]
    expected = compute_features(samples, options)
    stereo = np.stack([samples, samples], axis=1)
    fixed = np.frombuffer(samples.tobytes(), np.float32)
    for given in (stereo[:, 0], fixed, samples.astype(np.float64)):
        np.testing.assert_array_equal(compute_features(given, options), expected)


def recordings() -> list[Path]:
    """Real speech, where it is at hand: every 50th file."""
    return sorted(CORPUS.glob("**/*.flac"))[::50]


@pytest.mark.skipif(not recordings(), reason=f"no real speech at {CORPUS}")
@pytest.mark.parametrize(
    "settings",
    [{}, {"num_mels": 80}, {"kind": "mfcc", "num_mels": 23}],
    ids=["fbank-40", "fbank-80", "mfcc-23"],
)
def test_real_speech_agrees_in_every_value(settings):
    for path in recordings():
        check(soundfile.read(path, dtype="float32")[0], **settings)
