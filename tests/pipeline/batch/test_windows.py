import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from features.frontend import FrontendOptions, transform
from features.normalize import CmvnStats
from features.spectral import FeatureOptions, compute_features
from pipeline.batch import windows
from pipeline.batch.items import Item
from pipeline.batch.windows import Listener, cut_at_pauses

FLOAT32_SUM = 1e-5  # statistics are added up in another order


@given(
    st.lists(st.floats(0, 1, width=16), min_size=1, max_size=200), st.integers(1, 30)
)
def test_windows_cover_all_and_none_is_too_long(energies, longest):
    cuts = cut_at_pauses(np.array(energies), longest=longest)
    assert cuts[0] == 0 and cuts[-1] == len(energies)
    lengths = np.diff(cuts)
    assert (lengths > 0).all() and (lengths <= longest).all()


def test_a_cut_is_where_it_is_quiet():
    energies = np.ones(50)
    energies[[17, 30]] = 0.0
    assert cut_at_pauses(energies, longest=20) == [0, 17, 30, 50]


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
