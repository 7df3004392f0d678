"""Kaldi's preset against Kaldi's own code and against the same equations in float64.

A float32 transform leaves rounding noise in every bin, some 1e-7 of the loudest bin's amplitude;
in a bin d nats of energy below the loudest that is exp(d / 2) times as much of the bin itself.
So two float32 codes agree within 1e-3 down to about 17 nats, and deeper down neither does with
exact arithmetic.
"""

from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import pytest
import scipy.fft
import soundfile

from features.spectral import FeatureOptions, compute_features, lifter

RATE = 16000
AGREEMENT = 1e-3  # log units
FLOAT32_SUMS = 2e-4  # of the conditioning and the filters, at any depth
FLOAT32_FFT = (
    2**-22
)  # four times the unit roundoff: twice for the square, twice for the sums
DEPTH = 2 * np.log(AGREEMENT / FLOAT32_FFT)  # 16.7 nats
CORPUS = Path(__file__).parents[2].parent / "shared/corpora/speechocean762"


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


def kaldi(samples: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """The features [T, F] by kaldi-native-fbank, without dither."""
    fbank = options.kind == "fbank"
    theirs = knf.FbankOptions() if fbank else knf.MfccOptions()
    theirs.frame_opts.dither = 0
    theirs.mel_opts.num_bins = options.num_mels
    online = (knf.OnlineFbank if fbank else knf.OnlineMfcc)(theirs)
    online.accept_waveform(RATE, (samples * 32768).tolist())
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


def depth_of(log_mel: np.ndarray) -> np.ndarray:
    """Nats below the loudest bin of the frame."""
    return log_mel.max(axis=1, keepdims=True) - log_mel


def recordings() -> list[Path]:
    """Real speech, where it is at hand: every 100th file."""
    return sorted(CORPUS.glob("**/*.flac"))[::100]


def check_filterbank(samples: np.ndarray, num_mels: int) -> np.ndarray:
    """Holds ours and Kaldi's to what float32 allows; returns Kaldi's distance from exact."""
    options = FeatureOptions(preset="kaldi", num_mels=num_mels)
    ours, theirs = compute_features(samples, options), kaldi(samples, options)
    truth = exact(samples, num_mels)
    assert ours.shape == theirs.shape == truth.shape
    allowed = FLOAT32_SUMS + FLOAT32_FFT * np.exp(depth_of(truth) / 2)
    assert (np.abs(ours - truth) <= allowed).all()
    assert (np.abs(theirs - truth) <= allowed).all()
    shallow = depth_of(truth) < DEPTH
    np.testing.assert_allclose(ours[shallow], theirs[shallow], atol=AGREEMENT)
    return np.abs(theirs - truth)


@pytest.mark.parametrize("num_mels", [23, 40, 80])
@pytest.mark.parametrize("peak", [0.9, 0.01], ids=["loud", "quiet"])
def test_filterbanks_agree_down_to_the_rounding_of_float32(peak, num_mels):
    check_filterbank(voice(peak=peak), num_mels)


def test_kaldi_itself_is_not_exact_far_below_the_peak():
    # So no calculation can agree with it there but one that rounds in the same order.
    time = np.arange(RATE) / RATE
    hum = 0.9 * np.sin(2 * np.pi * 200 * time)
    faint = 1e-6 * np.random.default_rng(0).normal(size=RATE)
    away = check_filterbank((hum + faint).astype(np.float32), 40)
    assert away.max() > 10 * AGREEMENT


@pytest.mark.parametrize("peak", [0.9, 0.01], ids=["loud", "quiet"])
def test_cepstra_agree_as_far_as_their_filterbank_does(peak):
    options = FeatureOptions(kind="mfcc", preset="kaldi", num_mels=23)
    check_cepstra(voice(peak=peak), options)


def check_cepstra(samples: np.ndarray, options: FeatureOptions) -> None:
    """Holds the difference to what the bins' rounding adds up to in a cosine transform."""
    ours, theirs = compute_features(samples, options), kaldi(samples, options)
    deep = FLOAT32_FFT * np.exp(depth_of(exact(samples, options.num_mels)) / 2)
    cosines = np.abs(scipy.fft.dct(np.eye(options.num_mels), norm="ortho", axis=0))
    allowed = deep @ cosines[: options.num_ceps].T * lifter(options)
    assert (np.abs(ours - theirs) <= AGREEMENT + allowed).all()


@pytest.mark.skipif(not recordings(), reason=f"no real speech at {CORPUS}")
def test_real_speech_agrees_as_far():
    for path in recordings():
        samples = soundfile.read(path, dtype="float32")[0]
        check_filterbank(samples, 40)
        check_cepstra(samples, FeatureOptions(kind="mfcc", preset="kaldi", num_mels=23))
