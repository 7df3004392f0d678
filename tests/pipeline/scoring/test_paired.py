import math

import numpy as np
import pytest

from features.errors import DataError
from pipeline.scoring.counts import ErrorCounts, compare
from pipeline.scoring.paired import mapsswe, paired_bootstrap, segments

SAMPLING = 0.5  # percent; the spread of a percentile of 10,000 draws, with room


def pairs(reference, hypothesis):
    return compare(reference.split(), hypothesis.split()).pairs


@pytest.mark.parametrize(
    "first, second, wanted",
    [
        ("a b c d e", "a b c d e", []),
        ("x b c d e", "a b c d y", [(1, 0), (0, 1)]),
        ("x b y d e", "a b c d e", [(2, 0)]),  # one right between does not bound
        ("a b z c d e", "a b c d", [(1, 0), (0, 1)]),  # an insertion, then a deletion
        ("z a b c d e", "a b c d e z z", [(1, 0), (0, 2)]),
    ],
)
def test_segments_lie_between_two_right_tokens(first, second, wanted):
    sides = (pairs("a b c d e", side) for side in (first, second))
    assert segments(*sides) == wanted


def test_mapsswe_of_known_segments():
    # Differences -1, -1, +1, -1: mean -0.5, sd 1, Z = -0.5 / (1 / 2) = -1.
    first = {str(n): pairs("a b", "x b" if n != 2 else "a b") for n in range(4)}
    second = {str(n): pairs("a b", "a b" if n != 2 else "x b") for n in range(4)}
    found = mapsswe(first, second)
    assert (found.segments, found.mean, found.sd) == (4, -0.5, 1.0)
    assert found.z == pytest.approx(-1.0)
    assert found.p == pytest.approx(
        0.3173, abs=1e-4
    )  # table of the normal distribution
    assert mapsswe(second, first).z == pytest.approx(1.0)


def test_other_references_are_refused():
    with pytest.raises(DataError, match="'u' has other references"):
        mapsswe({"u": pairs("a", "a")}, {"u": pairs("b", "b")})
    with pytest.raises(DataError, match="same utterances"):
        mapsswe({"u": pairs("a", "a")}, {})


def test_the_bootstrap_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(0)
    first, second = rng.binomial(100, [[0.22], [0.2]], size=(2, 200)).tolist()
    groups = [
        [ErrorCounts(hits=100 - e, substitutions=e) for e in side]
        for side in (first, second)
    ]
    change = np.subtract(second, first)
    half = 1.96 * change.std() / math.sqrt(200)
    found = paired_bootstrap(*groups)
    assert found.difference == pytest.approx(change.mean())
    assert found.low == pytest.approx(change.mean() - half, abs=SAMPLING)
    assert found.high == pytest.approx(change.mean() + half, abs=SAMPLING)
    z = change.mean() / change.std() * math.sqrt(200)
    assert found.better == pytest.approx(math.erfc(z / math.sqrt(2)) / 2, abs=0.02)


def test_two_systems_alike_do_not_differ():
    side = [ErrorCounts(hits=3, deletions=1)] * 5
    found = paired_bootstrap(side, side)
    assert (found.difference, found.better, found.p) == (0.0, 0.0, 1.0)


def test_a_pair_needs_the_same_references():
    with pytest.raises(DataError, match="same references"):
        paired_bootstrap([ErrorCounts(hits=1)], [ErrorCounts(hits=2)])
