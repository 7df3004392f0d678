"""Searches by enumeration, written from the definitions and sharing no code with the package."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

Segments = list[tuple[int, int, int]]  # phone, first frame, end


def state_minima(states: int, min_frames: int) -> list[int]:
    """Frames that each state lasts at least, when a phone lasts `min_frames`."""
    length = max(states, min_frames)
    return [
        sum(copy * states // length == state for copy in range(length))
        for state in range(states)
    ]


def segment_score(
    scores: np.ndarray, phone: int, states: int, minima: Sequence[int]
) -> float:
    """The best score of one phone over all frames given: every way to cut them into states."""
    frames = len(scores)
    best = -np.inf
    for cuts in itertools.combinations(range(1, frames), states - 1):
        edges = (0, *cuts, frames)
        lengths = [b - a for a, b in itertools.pairwise(edges)]
        if all(n >= least for n, least in zip(lengths, minima, strict=True)):
            total = sum(
                scores[a:b, phone * states + state].sum()
                for state, (a, b) in enumerate(itertools.pairwise(edges))
            )
            best = max(best, float(total))
    return best


def sequence_score(
    scores: np.ndarray, phones: Sequence[int], *, states: int = 1, min_frames: int = 1
) -> float:
    """The best score of a phone sequence over all ways to cut the frames among its phones."""
    minima = state_minima(states, min_frames)
    best = -np.inf
    for cuts in itertools.combinations(range(1, len(scores)), len(phones) - 1):
        edges = (0, *cuts, len(scores))
        spans = itertools.pairwise(edges)
        total = sum(
            segment_score(scores[a:b], phone, states, minima)
            for phone, (a, b) in zip(phones, spans, strict=True)
        )
        best = max(best, total)
    return best


@pytest.fixture(scope="session")
def best_of_sequence() -> Callable[..., float]:
    return sequence_score
