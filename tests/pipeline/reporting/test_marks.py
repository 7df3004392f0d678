import pytest

from pipeline.datadir.times import PhoneInterval
from pipeline.reporting.marks import place

PAIRS = [("sil", "sil"), ("a", None), ("b", "a"), (None, "b")]


def marks(*phones):
    return [PhoneInterval(phone, i, i + 1) for i, phone in enumerate(phones)]


def found(phones, **options):
    placed = place(marks(*phones), PAIRS, **options)
    return None if placed is None else [p.pair for p in placed]


def test_each_side_finds_its_pairs():
    assert found(["sil", "a", "b"], side=0) == [0, 1, 2]
    assert found(["sil", "a", "b"], side=1) == [0, 2, 3]


def test_folded_and_deleted_phones_find_theirs():
    fold = {"sil": "sil", "ax": "a", "b": "b", "q": None}
    assert found(["sil", "q", "ax", "b", "q"], side=1, fold=fold) == [
        0, None, 2, 3, None
    ]  # fmt: skip


def test_what_the_policy_does_not_count_has_no_pair():
    pairs = [("a", "a")]
    placed = place(marks("sil", "a", "sil"), pairs, side=1, unheard={"sil"})
    assert placed is not None
    assert [p.pair for p in placed] == [None, 0, None]


@pytest.mark.parametrize(
    "phones", [["sil", "a"], ["sil", "a", "b", "b"], ["sil", "b", "a"]]
)
def test_marks_of_other_phones_are_not_placed(phones):
    assert found(phones, side=1) is None
