import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datadir.times import PhoneInterval
from pipeline.scoring.boundaries import (
    BoundaryCounts,
    compare_times,
    match_boundaries,
)

times = st.lists(st.integers(0, 30), max_size=5, unique=True).map(sorted)


@given(left=times, right=times)
def test_no_pairing_has_more(left, right):
    def best(i, j):
        """The largest matching, by trying everything."""
        if i == len(left) or j == len(right):
            return 0
        here = 1 + best(i + 1, j + 1) if abs(left[i] - right[j]) <= 3 else 0
        return max(here, best(i + 1, j), best(i, j + 1))

    assert match_boundaries(left, right, tolerance=3) == best(0, 0)


def marks(*rows):
    starts = itertools.accumulate([0.0, *(length for _, length in rows)])
    ends = list(starts)
    return [
        PhoneInterval(phone, a, b)
        for (phone, _), (a, b) in zip(rows, itertools.pairwise(ends), strict=True)
    ]


def test_times_of_a_known_pair():
    true = {"u": marks(("a", 0.1), ("b", 0.1), ("c", 0.1)), "only": marks(("a", 1))}
    found = {"u": marks(("a", 0.115), ("b", 0.115), ("c", 0.07))}
    timing = compare_times(true, found)
    assert timing.boundaries[10] == BoundaryCounts(0, 2, 2)
    assert timing.boundaries[20] == BoundaryCounts(1, 2, 2)
    assert timing.boundaries[50] == BoundaryCounts(2, 2, 2)
    # Frames centred at 105 ms (a) and 205, 215, 225 ms (b) are wrong; 115 ms falls to b.
    assert (timing.frames, timing.frames_right, timing.utterances) == (30, 26, 1)


def test_measures_of_known_counts():
    perfect = BoundaryCounts(7, 7, 7)
    assert (perfect.f_score, perfect.r_value) == (1.0, 1.0)
    twice = BoundaryCounts(10, 10, 20)
    assert (twice.precision, twice.recall) == (0.5, 1.0)
    # OS = 1, r1 = 1, r2 = 1 / sqrt 2
    assert twice.r_value == pytest.approx(1 - (1 + 0.5**0.5) / 2)
