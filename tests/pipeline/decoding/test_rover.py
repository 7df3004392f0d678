import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.rover import Voter, vote
from pipeline.scoring.counts import count_errors

EXACT = 1e-9  # a few float64 operations on times below a minute


def said(line, *, weight=1.0, sure=None, shift=0.0):
    """A hypothesis with phones of a tenth of a second."""
    return Voter(
        [
            PhoneInterval(phone, 0.1 * k + shift, 0.1 * (k + 1) + shift, sure)
            for k, phone in enumerate(line.split())
        ],
        weight,
    )


def heard(voters, **options):
    return " ".join(mark.phone for mark in vote(voters, **options))


@pytest.mark.parametrize(
    "lines, wanted",
    [
        (["a b c", "a x c", "a b d"], "a b c"),
        (["a b c", "a c", "a c"], "a c"),
        (["a c", "a b c", "a b c"], "a b c"),
        (["", "a", "a"], "a"),
        (["a b", "", ""], ""),
        (["a b c d", "b c d", "b c d e"], "b c d"),
    ],
)
def test_the_majority_wins(lines, wanted):
    assert heard([said(line) for line in lines]) == wanted


def test_a_heavy_voter_outvotes_two():
    voters = [said("a b"), said("a c", weight=3.0), said("a b")]
    assert heard(voters) == "a c"


def test_ties_go_to_the_more_confident():
    assert heard([said("a", sure=0.4), said("b", sure=0.6)]) == "b"
    assert heard([said("a", sure=0.7), said("b", sure=0.6)]) == "a"


def test_confidence_can_outvote():
    voters = [said("a", sure=0.2), said("a", sure=0.2), said("b", sure=0.9)]
    assert heard(voters, vote_weight=1.0) == "a"
    # a: 0.2 * 2/3 + 0.8 * 0.2 = 0.29; b: 0.2 * 1/3 + 0.8 * 0.9 = 0.79
    assert heard(voters, vote_weight=0.2) == "b"


def test_nothing_has_the_confidence_it_is_given():
    voters = [said("a", sure=0.5), said("", sure=None)]
    assert heard(voters, vote_weight=0.5, null_confidence=0.4) == "a"
    assert heard(voters, vote_weight=0.5, null_confidence=0.6) == ""


def test_times_are_those_of_the_voters_and_confidence_their_share():
    voters = [said("a b"), said("a b", shift=0.03), said("c b", shift=0.5)]
    first, second = vote(voters)
    assert (first.phone, second.phone) == ("a", "b")
    assert first.start == pytest.approx(0.015, abs=EXACT)
    assert first.end == pytest.approx(0.115, abs=EXACT)
    assert first.confidence == pytest.approx(2 / 3)
    # b: mean of 0.1, 0.13 and 0.6
    assert second.start == pytest.approx(0.83 / 3, abs=EXACT)
    assert second.confidence == pytest.approx(1.0)


lines = st.lists(st.sampled_from("abc"), max_size=6).map(" ".join)


@given(line=lines, others=st.lists(lines, max_size=3))
def test_agreement_stands_and_times_go_on(line, others):
    assert heard([said(line)] * 3) == line
    voters = [said(line), *(said(other) for other in others)]
    marks = vote(voters)
    starts = [mark.start for mark in marks]
    assert starts == sorted(starts)
    assert all(a.end <= b.start + EXACT for a, b in zip(marks, marks[1:], strict=False))


@given(line=lines, others=st.lists(lines, min_size=1, max_size=3))
def test_more_than_half_of_the_weight_decides(line, others):
    rest = [said(other) for other in others]
    assert heard([said(line, weight=2.0 * len(rest)), *rest]) == line


def test_many_voters_find_what_most_of_them_blur():
    rng = np.random.default_rng(0)
    truth = [str(phone) for phone in rng.integers(20, size=60)]
    voters = []
    for _ in range(9):
        line = [p if rng.random() > 0.2 else str(rng.integers(20)) for p in truth]
        voters.append(said(" ".join(p for p in line if rng.random() > 0.05)))
    alone = [count_errors(truth, [p.phone for p in v.phones]).errors for v in voters]
    assert count_errors(truth, heard(voters).split()).errors <= 2 < min(alone) / 2
