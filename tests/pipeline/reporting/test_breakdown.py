import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.breakdown import (
    bin_width,
    by_class,
    by_length,
    choose_examples,
    confused_examples,
)
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.record import as_json

COUNTS = st.builds(ErrorCounts, *[st.integers(0, 30)] * 4)


def rated(*rates):
    """Utterances u0, u1, … of 100 tokens."""
    return {
        f"u{i}": as_json(ErrorCounts(hits=100 - rate, substitutions=rate))
        for i, rate in enumerate(rates)
    }


@given(st.lists(COUNTS, min_size=1, max_size=30))
def test_bins_of_length_add_up_and_are_few(rows):
    bins = by_length({str(i): as_json(row) for i, row in enumerate(rows)})
    for key in ("tokens", "errors", "insertions", "hits"):
        assert sum(found[key] for found in bins.values()) == sum(
            getattr(row, key) for row in rows
        )
    assert len(bins) <= 9  # eight, and one of empty references


@pytest.mark.parametrize(
    ("longest", "width"), [(1, 1), (8, 1), (9, 2), (16, 2), (17, 5), (80, 10), (81, 20)]
)
def test_bins_are_as_wide_as_needed(longest, width):
    assert bin_width(longest) == width


def test_bins_are_named_by_their_ends():
    rows = {str(n): as_json(ErrorCounts(hits=n)) for n in (0, 1, 10, 11, 75)}
    bins = by_length(rows)
    assert {name: found["tokens"] for name, found in bins.items()} == {
        "0": 0,
        "1–10": 11,
        "11–20": 11,
        "71–80": 75,
    }


def test_errors_within_a_class_are_errors():
    phones = {
        "a": as_json(ErrorCounts(hits=3, substitutions=1)),
        "e": as_json(ErrorCounts(hits=1, deletions=2)),
        "t": as_json(ErrorCounts(insertions=1)),
    }
    found = by_class(phones, {"a": "vowel", "e": "vowel", "t": "stop"})
    assert (found["vowel"]["errors"], found["vowel"]["tokens"]) == (3, 7)
    assert found["stop"]["rate"] is None


def test_the_worst_come_first_and_the_median_is_in_the_middle():
    chosen = choose_examples(rated(10, 90, 50, 20, 80, 30, 40), 2)
    assert chosen == {"worst": ["u1", "u4"], "median": ["u5", "u6"]}


def test_of_equal_rates_the_one_of_more_errors_is_worse():
    rows = rated(50) | {"long": as_json(ErrorCounts(hits=200, substitutions=200))}
    assert choose_examples(rows, 1)["worst"] == ["long"]


def test_none_is_chosen_twice_and_none_without_a_rate():
    rows = rated(10, 20) | {"empty": as_json(ErrorCounts(insertions=3))}
    chosen = choose_examples(rows, 6)
    assert chosen == {"worst": ["u1", "u0"], "median": []}
    assert choose_examples(rated(5), 0) == {"worst": [], "median": []}


def test_each_frequent_error_can_be_heard_once():
    pairs = {
        "u1": [("a", "b"), ("a", "b"), ("c", "c")],
        "u2": [("a", "b"), ("d", None)],
        "u3": [("d", None), ("d", None), (None, "e"), ("c", "c")],
    }
    # a -> b and d deleted come thrice, e inserted once
    assert confused_examples(pairs, 2) == ["u1", "u3"]
    assert confused_examples(pairs, 3) == ["u1", "u3"]
    assert confused_examples(pairs, 1) == ["u1"]
    assert confused_examples({"u": [("a", "a")]}, 5) == []
    # what u2 lets hear, d deleted and a -> b, needs no other
    assert confused_examples(pairs, 3, drawn={"u2"}) == ["u3"]
    assert confused_examples(pairs, 2, drawn={"u2"}) == []
