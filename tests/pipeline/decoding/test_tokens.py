import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decoding.tokens import Token, greedy_ctc, greedy_frames, runs


@given(st.lists(st.integers(0, 3), max_size=30))
def test_runs_are_the_groups_of_equal_neighbours(labels):
    tokens = runs(np.array(labels, int))
    assert [t.phone for t in tokens] == [key for key, _ in itertools.groupby(labels)]
    assert [t.phone for t in tokens for _ in range(t.start, t.end)] == labels


def one_hot(labels, width):
    scores = np.full((len(labels), width), -9.0, np.float32)
    scores[np.arange(len(labels)), labels] = 0.0
    return scores


@pytest.mark.parametrize(
    "labels, wanted",
    [
        ([2, 0, 0, 2, 0, 1], [Token(0, 1, 3), Token(0, 4, 5), Token(1, 5, 6)]),
        ([2, 2], []),
        ([1], [Token(1, 0, 1)]),
    ],
)
def test_greedy_ctc_merges_repeats_and_drops_blanks(labels, wanted):
    assert greedy_ctc(one_hot(labels, 3)) == wanted


def test_greedy_frames_joins_the_states_of_a_phone():
    scores = one_hot([0, 1, 2, 3, 5, 0], 6)
    tokens = greedy_frames(scores, states=3)
    assert tokens == [Token(0, 0, 3), Token(1, 3, 5), Token(0, 5, 6)]
