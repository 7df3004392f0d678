"""The front end as a layer says what `features` says."""

from dataclasses import asdict

import keras
import numpy as np
import pytest

from features.errors import ConfigError
from features.frontend import FrontendOptions, transform
from features.normalize import CmvnStats
from features.spectral import FeatureOptions, compute_features
from pipeline.nnet.frontend_layer import WaveformFrontend

# float32 sums of 400 terms in another order, as a logarithm; in Kaldi's range, where quiet
# bins of loud frames lose more, and the lifter multiplies by up to 12.
LOG_SUM = {"librosa": 2e-4, "kaldi": 2e-3}
NO_CMVN = FrontendOptions(cmvn="none")


def waveform(seconds: float = 0.9, seed: int = 0) -> np.ndarray:
    """Two tones that fade, in noise, off centre."""
    random = np.random.default_rng(seed)
    time = np.arange(int(16000 * seconds)) / 16000
    tones = np.sin(2 * np.pi * 310 * time) + 0.3 * np.sin(2 * np.pi * 2900 * time)
    noise = 0.02 * random.standard_normal(len(time))
    return (0.3 * tones * np.exp(-3 * time) + noise + 0.01).astype(np.float32)


def layer(features: FeatureOptions, frontend: FrontendOptions, stats=None):
    return WaveformFrontend(asdict(features), asdict(frontend), stats)


@pytest.mark.parametrize("preset", ["librosa", "kaldi"])
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "fbank"},
        {"kind": "mfcc"},
        {"kind": "mfcc", "rate_hz": 8000, "num_mels": 23, "num_ceps": 23},
        {"frame_length_ms": 20.0, "frame_shift_ms": 12.5, "high_hz": 3800.0},
    ],
    ids=["fbank", "mfcc", "mfcc-8k", "frames"],
)
def test_spectra_are_those_of_features(preset, options):
    features = FeatureOptions(preset=preset, **options)
    samples = waveform()
    expected = compute_features(samples, features)
    found = layer(features, NO_CMVN).spectra(samples[None]).numpy()[0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=LOG_SUM[preset], rtol=1e-5)


FRONTENDS = [
    {"cmvn": "utterance"},
    {"cmvn": "speaker", "norm_vars": False},
    {"deltas": 1},
    {"deltas": 2, "norm_vars": False},
    {"splice_left": 2, "splice_right": 1},
    {"splice_left": 5},
    {"stack": 3, "skip": 3},
    {"stack": 2, "skip": 3},
    {"stack": 4, "skip": 1},
    {"deltas": 2, "splice_left": 1, "splice_right": 2, "stack": 2, "skip": 2},
]


@pytest.mark.parametrize("stats", ["own", "given", "none"])
@pytest.mark.parametrize("values", FRONTENDS, ids=str)
@pytest.mark.parametrize("seconds", [0.026, 0.1, 0.42])
def test_context_is_that_of_features(values, stats, seconds):
    if stats == "none":
        values = {**values, "cmvn": "none"}
    elif stats == "given":
        values = {**values, "cmvn": "global"}
    features = FeatureOptions(num_mels=7)
    options = FrontendOptions(**values)
    samples = waveform(seconds)
    frames = compute_features(samples, features)
    given = CmvnStats.from_frames(compute_features(waveform(1.0, seed=3), features))
    used = {"own": CmvnStats.from_frames(frames), "given": given, "none": None}[stats]
    expected = transform(frames, used, options)
    matrix = given.matrix.tolist() if stats == "given" else None
    found = layer(features, options, matrix)(samples[None]).numpy()[0]
    assert found.shape == expected.shape
    # Division by a small deviation makes a difference larger.
    np.testing.assert_allclose(found, expected, atol=20 * LOG_SUM["librosa"])


def test_what_never_varies_is_left_at_zero():
    silence = np.zeros((1, 4000), np.float32)
    options = FrontendOptions(cmvn="utterance")
    assert not layer(FeatureOptions(num_mels=7), options)(silence).numpy().any()


def test_waveforms_of_a_batch_do_not_see_each_other():
    front = layer(FeatureOptions(num_mels=7), FrontendOptions(stack=2, skip=2))
    rows = np.stack([waveform(0.2, seed) for seed in range(3)])
    together = front(rows).numpy()
    alone = np.concatenate([front(row[None]).numpy() for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_it_is_made_again_from_its_configuration():
    stats = np.arange(16.0).reshape(2, 8).tolist()
    front = layer(FeatureOptions(num_mels=7), FrontendOptions(cmvn="global"), stats)
    again = WaveformFrontend.from_config(front.get_config())
    samples = waveform(0.1)[None]
    np.testing.assert_array_equal(front(samples), again(samples))
    assert front.compute_output_shape((2, 1600)) == (2, None, 7)
    assert isinstance(again, keras.layers.Layer)


@pytest.mark.parametrize(
    ("cmvn", "stats", "message"),
    [
        ("global", None, "cmvn: global needs statistics"),
        ("none", [[1.0]], "cmvn: none uses no statistics"),
    ],
)
def test_statistics_that_do_not_fit_are_told(cmvn, stats, message):
    with pytest.raises(ConfigError, match=message):
        layer(FeatureOptions(), FrontendOptions(cmvn=cmvn), stats)
