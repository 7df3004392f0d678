from dataclasses import replace

import numpy as np
import pytest
import soundfile

from features.errors import DataError
from features.frontend import FrontendOptions, transform
from features.normalize import CmvnStats
from features.spectral import FeatureOptions, compute_features
from pipeline.batch import windows
from pipeline.batch.exported import WaveformListener
from pipeline.batch.items import Item
from pipeline.batch.windows import Listener

FLOAT32_SUM = 1e-5  # statistics are added up in another order


@pytest.fixture
def recording(tmp_path):
    """Three seconds of noise with two pauses."""
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 48000)
    samples[14000:17000] *= 0.001
    samples[30000:34000] *= 0.001
    path = tmp_path / "x.flac"
    soundfile.write(path, samples, 16000)
    return Item("x", str(path)), soundfile.read(path, dtype="float32")[0]


@pytest.mark.parametrize(
    "frontend",
    [
        FrontendOptions(cmvn="utterance"),
        FrontendOptions(cmvn="speaker", stack=3, skip=3),
        FrontendOptions(cmvn="none", splice_left=2, splice_right=2, deltas=1, skip=2),
    ],
)
def test_long_recordings_are_cut_with_context_and_nothing_is_lost(
    recording, monkeypatch, frontend
):
    item, samples = recording
    monkeypatch.setattr(windows, "LONGEST_S", 1.2)
    monkeypatch.setattr(windows, "CONTEXT_S", 0.3)
    options = FeatureOptions()
    found = list(Listener(options, frontend).windows(item))
    raw = compute_features(samples, options)
    stats = None if frontend.cmvn == "none" else CmvnStats.from_frames(raw)
    whole = transform(raw, stats, frontend)
    assert len(found) > 2
    assert sum(w.count for w in found) == len(whole) == found[0].total
    first = 0
    for window in found:
        assert (window.first, window.seconds) == (first, 3.0)
        begin = first - window.skipped
        span = slice(window.skipped, window.skipped + window.count)
        expected = whole[begin : begin + len(window.frames)]
        np.testing.assert_allclose(
            window.frames[span], expected[span], atol=FLOAT32_SUM
        )
        first += window.count
    assert all(w.skipped > 0 for w in found[1:])


def test_what_fits_one_window_is_not_cut(recording):
    item, samples = recording
    options, frontend = FeatureOptions(), FrontendOptions(cmvn="utterance")
    (window,) = Listener(options, frontend).windows(item)
    raw = compute_features(samples, options)
    expected = transform(raw, CmvnStats.from_frames(raw), frontend)
    np.testing.assert_array_equal(window.frames, expected)


def test_the_speakers_statistics_are_used_where_they_are_known(recording):
    item, samples = recording
    options, frontend = FeatureOptions(), FrontendOptions(cmvn="speaker")
    raw = compute_features(samples, options)
    stats = CmvnStats.from_frames(raw + 1)
    (window,) = Listener(options, frontend).windows(item, stats)
    np.testing.assert_array_equal(window.frames, transform(raw, stats, frontend))


@pytest.mark.parametrize("second", [2.9, 1.0])
@pytest.mark.parametrize("exported", [False, True])
def test_what_is_shorter_when_read_again_is_told(
    recording, tmp_path, monkeypatch, second, exported
):
    item, samples = recording
    soundfile.write(tmp_path / "less.flac", samples[: round(second * 16000)], 16000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.batch.windows.LONGEST_S", 1.2)
    monkeypatch.setattr("pipeline.batch.exported.LONGEST_S", 1.2)
    item = replace(item, source="cat x.flac; cp less.flac x.flac |")
    options = FeatureOptions()
    listener = (
        WaveformListener(options, 3, True)
        if exported
        else Listener(options, FrontendOptions(stack=3, skip=3), allow_pipes=True)
    )
    with pytest.raises(DataError, match="shorter when it was read again"):
        list(listener.windows(item))
