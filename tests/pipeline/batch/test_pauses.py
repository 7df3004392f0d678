"""Cuts at pauses: the same whether a recording comes whole or piece by piece."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch.pauses import Pauses, smoothed

ENERGIES = st.lists(st.floats(0, 1, width=16), min_size=1, max_size=200)


def cuts_of(energies, *, longest, width=1, pieces=1):
    pauses = Pauses(longest=longest, width=width)
    for piece in np.array_split(np.array(energies, np.float32), pieces):
        pauses.hear(piece)
    return pauses.finish(len(energies))


@given(ENERGIES, st.integers(1, 30))
def test_windows_cover_all_and_none_is_too_long(energies, longest):
    cuts = cuts_of(energies, longest=longest)
    assert cuts[0] == 0 and cuts[-1] == len(energies)
    lengths = np.diff(cuts)
    assert (lengths > 0).all() and (lengths <= longest).all()


@given(ENERGIES, st.integers(10, 30), st.integers(1, 5), st.integers(2, 40))
def test_pieces_give_the_cuts_of_the_whole(energies, longest, width, pieces):
    expected, averages = [0], smoothed(np.array(energies, np.float32), width)
    while len(energies) - expected[-1] > longest:
        begin = expected[-1] + longest // 2
        stretch = averages[begin : expected[-1] + longest + 1]
        expected.append(begin + int(stretch.argmin()))
    found = cuts_of(energies, longest=longest, width=width, pieces=pieces)
    assert found == [*expected, len(energies)]


def test_a_cut_is_where_it_is_quiet():
    energies = np.ones(50)
    energies[[17, 30]] = 0.0
    assert cuts_of(energies, longest=20) == [0, 17, 30, 50]


@given(ENERGIES, st.integers(10, 30), st.integers(1, 5), st.integers(0, 40))
def test_frames_that_were_not_heard_are_like_the_last(energies, longest, width, more):
    pauses = Pauses(longest=longest, width=width)
    pauses.hear(np.array(energies, np.float32))
    filled = energies + more * energies[-1:]
    expected = cuts_of(filled, longest=longest, width=width)
    assert pauses.finish(len(filled)) == expected


@pytest.mark.parametrize("hours", [1, 10])
def test_hours_are_held_in_the_memory_of_a_window(hours):
    pauses = Pauses(longest=1000, width=7)
    rng = np.random.default_rng(0)
    for _ in range(60 * hours):
        pauses.hear(rng.normal(size=2000).astype(np.float32))
        assert pauses._held.nbytes < 3100 * 4
    assert len(pauses.finish(120_000 * hours)) > 120 * hours
