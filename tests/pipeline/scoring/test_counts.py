import doctest
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.scoring.counts import ErrorCounts, compare, count_errors

numbers = st.integers(0, 1000)
counts = st.builds(ErrorCounts, numbers, numbers, numbers, numbers)


@given(left=counts, right=counts)
def test_counts_add_up(left, right):
    total = left + right
    assert total.errors == left.errors + right.errors
    assert total.tokens == left.tokens + right.tokens
    assert total == right + left


@given(counts, counts)
def test_a_rate_is_of_all_tokens_and_no_mean_of_rates(left, right):
    total = left + right
    if total.tokens:
        assert total.rate == 100.0 * (left.errors + right.errors) / (
            left.tokens + right.tokens
        )


@given(st.lists(st.sampled_from("abc"), max_size=9))
def test_against_itself_there_is_no_error(phones):
    assert count_errors(phones, phones) == ErrorCounts(hits=len(phones))


@pytest.mark.parametrize(
    "reference, hypothesis, wanted",
    [
        ("", "", ErrorCounts()),
        ("", "a b", ErrorCounts(insertions=2)),
        ("a b", "", ErrorCounts(deletions=2)),
        ("a b c", "a x c d", ErrorCounts(2, 1, 0, 1)),
        ("a' (b) {c}", "a' (b) {c}", ErrorCounts(hits=3)),  # no mark means anything
    ],
)
@pytest.mark.parametrize("alignment", ["jiwer", "sclite"])
def test_counts_of_known_pairs(reference, hypothesis, wanted, alignment):
    found = count_errors(reference.split(), hypothesis.split(), alignment=alignment)
    assert found == wanted


def test_pairs_say_which_phone_became_which():
    found = compare("a b c".split(), "a x c d".split())
    assert found.pairs == (("a", "a"), ("b", "x"), ("c", "c"), (None, "d"))


def test_the_line_is_kaldis():
    line = ErrorCounts(7215 - 391 - 783, 783, 391, 161).line()
    assert line == "%PER 18.50 [ 1335 / 7215, 161 ins, 391 del, 783 sub ]"


def test_without_tokens_there_is_no_rate():
    empty = ErrorCounts(insertions=2)
    assert empty.line() == "%PER n/a [ 2 / 0, 2 ins, 0 del, 0 sub ]"
    with pytest.raises(DataError, match="references are empty"):
        _ = empty.rate


def test_negative_counts_are_refused():
    with pytest.raises(DataError, match="cannot be negative"):
        ErrorCounts(hits=-1)


def test_examples_run():
    assert doctest.testmod(import_module("pipeline.scoring.counts")).failed == 0
