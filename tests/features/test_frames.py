"""Dynamics, normalisation, augmentation and the front end, against their equations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.augment import SpecAugment, add_noise, gain, spec_augment, speed
from features.dynamics import deltas, splice, stack
from features.errors import DataError
from features.frontend import FrontendOptions, subsample_labels, transform
from features.normalize import CmvnStats, apply_cmvn

FLOAT32_SUM = 1e-4  # some tens of terms of size one to ten
FRAMES = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 4)),
    elements=st.floats(-8, 8, width=32),
)


def edge(frames: np.ndarray, place: int) -> np.ndarray:
    return frames[min(max(place, 0), len(frames) - 1)].astype(float)


@given(FRAMES)
def test_deltas_follow_their_equation(frames):
    result = deltas(frames, order=1)
    width = frames.shape[1]
    np.testing.assert_array_equal(result[:, :width], frames)
    for t in range(len(frames)):
        expected = (
            sum(n * (edge(frames, t + n) - edge(frames, t - n)) for n in (1, 2)) / 10
        )
        np.testing.assert_allclose(result[t, width:], expected, atol=FLOAT32_SUM)


def test_second_deltas_of_a_parabola_are_its_curvature():
    frames = (np.arange(20.0)[:, None] ** 2).astype(np.float32)
    second = deltas(frames, order=2)[:, 2]
    np.testing.assert_allclose(second[4:-4], 2.0, atol=FLOAT32_SUM)


@given(FRAMES, st.integers(0, 3), st.integers(0, 3))
def test_splice_joins_neighbours(frames, left, right):
    result = splice(frames, left=left, right=right)
    for t in range(len(frames)):
        expected = np.concatenate(
            [edge(frames, t + n) for n in range(-left, right + 1)]
        )
        np.testing.assert_array_equal(result[t], expected)


@given(FRAMES, st.integers(1, 4), st.integers(1, 4))
def test_stack_joins_and_skips(frames, count, skip):
    result = stack(frames, count=count, skip=skip)
    assert len(result) == -(-len(frames) // skip)
    for row in range(len(result)):
        expected = np.concatenate([edge(frames, row * skip + n) for n in range(count)])
        np.testing.assert_array_equal(result[row], expected)


@pytest.mark.parametrize(
    "call", [lambda f: splice(f, left=1, right=1), lambda f: deltas(f, order=1)]
)
def test_no_frames_are_told(call):
    with pytest.raises(DataError, match=r"got shape \(0, 3\)"):
        call(np.zeros((0, 3), np.float32))


@given(FRAMES, FRAMES)
def test_statistics_add_up(first, second):
    width = min(first.shape[1], second.shape[1])
    first, second = first[:, :width], second[:, :width]
    added = CmvnStats.from_frames(first) + CmvnStats.from_frames(second)
    joined = CmvnStats.from_frames(np.concatenate([first, second]))
    np.testing.assert_allclose(added.matrix, joined.matrix, atol=1e-9)


def test_cmvn_gives_mean_zero_and_variance_one():
    frames = np.random.default_rng(0).normal(3, 5, (500, 4)).astype(np.float32)
    frames[:, 3] = 7.0  # never varies: must not become infinite
    result = apply_cmvn(frames, CmvnStats.from_frames(frames), norm_vars=True)
    np.testing.assert_allclose(result.mean(0), 0.0, atol=FLOAT32_SUM)
    np.testing.assert_allclose(result[:, :3].std(0), 1.0, atol=FLOAT32_SUM)
    assert np.isfinite(result).all()


def test_cmvn_of_another_width_is_told():
    stats = CmvnStats.from_frames(np.ones((3, 5)))
    with pytest.raises(DataError, match="do not fit features of dimension 4"):
        apply_cmvn(np.ones((3, 4), np.float32), stats, norm_vars=True)


def test_speed_changes_length_and_pitch():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    fast = speed(tone, 1.25, 16000)
    assert len(fast) == pytest.approx(12800, abs=2)
    spectrum = np.abs(np.fft.rfft(fast[:8000]))
    assert spectrum.argmax() * 2 == pytest.approx(1250, abs=3)
    assert speed(tone, 1.0, 16000) is tone
    with pytest.raises(DataError, match="speed factor 3"):
        speed(tone, 3, 16000)


def test_gain_and_noise_have_the_levels_asked_for():
    rng = np.random.default_rng(1)
    signal, noise = rng.normal(size=(2, 4000)).astype(np.float32)
    assert np.std(gain(signal, 6.0206)) / np.std(signal) == pytest.approx(2.0, rel=1e-4)
    added = add_noise(signal, noise[:1500], snr_db=10, rng=rng) - signal
    ratio = 10 * np.log10(np.mean(signal**2) / np.mean(added**2))
    assert ratio == pytest.approx(10, abs=0.5)  # noise is repeated from a random place
    with pytest.raises(DataError, match="silence"):
        add_noise(signal, 0 * noise, snr_db=10, rng=rng)


def test_spec_augment_masks_bands_in_every_joined_frame():
    frames = np.ones((50, 12), np.float32)
    options = SpecAugment(frequency_masks=1, frequency_width=3, time_masks=0)
    masked = [
        spec_augment(frames, options, np.random.default_rng(s), bands=4)
        for s in range(20)
    ]
    for result in masked:
        parts = result.reshape(50, 3, 4)
        np.testing.assert_array_equal(
            parts, np.broadcast_to(parts[:1, :1], parts.shape)
        )
        assert (parts[0, 0] == 0).sum() <= 3
    assert any((result == 0).any() for result in masked)
    assert (frames == 1).all()


def test_spec_augment_keeps_to_its_share_of_time():
    options = SpecAugment(
        frequency_masks=0, time_masks=1, time_width=100, time_fraction=0.2
    )
    for seed in range(20):
        result = spec_augment(
            np.ones((30, 2), np.float32), options, np.random.default_rng(seed)
        )
        assert (result[:, 0] == 0).sum() <= 6


@given(st.integers(1, 40), st.integers(1, 4))
def test_labels_and_frames_are_skipped_alike(length, skip):
    options = FrontendOptions(
        cmvn="none", stack=skip, skip=skip, deltas=1, splice_left=1
    )
    frames = np.zeros((length, 3), np.float32)
    inputs = transform(frames, None, options)
    labels = subsample_labels(np.arange(length), skip=skip)
    assert inputs.shape == (len(labels), options.output_dim(3))
    assert all(
        row * skip <= label < row * skip + skip for row, label in enumerate(labels)
    )
