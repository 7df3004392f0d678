"""Frames in context: deltas, splicing, stacking and skipping."""

import numpy as np

from features.errors import DataError


def _check(frames: np.ndarray) -> None:
    if frames.ndim != 2 or not len(frames):
        raise DataError(
            f"expected at least one frame in [T, F], got shape {frames.shape}"
        )


def _shifted(frames: np.ndarray, offset: int) -> np.ndarray:
    """Frame t + offset at place t, edge frames repeated."""
    places = np.clip(np.arange(len(frames)) + offset, 0, len(frames) - 1)
    return frames[places]


def delta_filters(*, order: int, window: int = 2) -> list[np.ndarray]:
    """The filters of the first and, where asked for, second derivative.

    Args:
        order: 0, 1 or 2.
        window: frames to each side that one pass looks at.

    Returns:
        `order` filters, the k-th of length 2 k `window` + 1, its middle on the frame itself.
    """
    offsets = np.arange(-window, window + 1)
    ramp = offsets / np.sum(offsets**2)
    filters = [np.ones(1)]
    for _ in range(order):
        filters.append(np.convolve(filters[-1], ramp))
    return filters[1:]


def deltas(frames: np.ndarray, *, order: int, window: int = 2) -> np.ndarray:
    """Appends time derivatives, as Kaldi's add-deltas does.

    The first is d_t = sum_n n (x_{t+n} - x_{t-n}) / (2 sum_n n^2), n = 1 … `window`; the
    second applies the same filter twice, as one longer filter (edge frames are repeated
    once, not after each pass).

    Args:
        frames: [T, F] float32, T >= 1.
        order: 0, 1 or 2.
        window: frames to each side.

    Returns:
        [T, F * (1 + order)] float32.

    Raises:
        DataError: `frames` is empty or not two-dimensional.

    References:
        Young et al., The HTK Book, section 5.9; Kaldi feat/feature-functions.cc.
    """
    _check(frames)
    parts = [frames]
    for filter_ in delta_filters(order=order, window=window):
        reach = len(filter_) // 2
        taps = zip(filter_, range(-reach, reach + 1), strict=True)
        terms = [np.float32(w) * _shifted(frames, n) for w, n in taps if w]
        parts.append(np.sum(terms, axis=0))
    return np.concatenate(parts, axis=1)


def splice(frames: np.ndarray, *, left: int, right: int) -> np.ndarray:
    """Joins each frame with its neighbours, repeating edge frames.

    Args:
        frames: [T, F] float32, T >= 1.
        left, right: context in frames, each >= 0.

    Returns:
        [T, (left + 1 + right) * F] float32, oldest frame first.

    Raises:
        DataError: `frames` is empty or not two-dimensional.
    """
    _check(frames)
    return np.concatenate(
        [_shifted(frames, n) for n in range(-left, right + 1)], axis=1
    )


def stack(frames: np.ndarray, *, count: int, skip: int) -> np.ndarray:
    """Joins each frame with those after it and keeps every `skip`-th.

    Args:
        frames: [T, F] float32, T >= 1.
        count: frames joined, >= 1; the last frame is repeated at the end.
        skip: frames from one output to the next, >= 1.

    Returns:
        [ceil(T / skip), count * F] float32; row k joins frames k * skip … k * skip + count - 1.

    Raises:
        DataError: `frames` is empty or not two-dimensional.

    References:
        Sak et al. 2015, Fast and Accurate Recurrent Neural Network Acoustic Models.
    """
    _check(frames)
    starts = np.arange(0, len(frames), skip)
    places = np.minimum(starts[:, None] + np.arange(count), len(frames) - 1)
    return frames[places].reshape(len(starts), -1)
