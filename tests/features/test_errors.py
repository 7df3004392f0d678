"""Lists in messages."""

import pytest

from features.errors import counted, named


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "u0"), (3, "u0, u1, u2"), (5, "u0, u1, u2 and 2 more")],
)
def test_a_list_tells_how_much_it_leaves_out(count, text):
    assert named([f"u{n}" for n in range(count)], 3) == text


@pytest.mark.parametrize(
    ("number", "nouns", "text"),
    [
        (1, ("file",), "1 file"),
        (0, ("file",), "0 files"),
        (2, ("batch", "batches"), "2 batches"),
        (1, ("batch", "batches"), "1 batch"),
    ],
)
def test_one_is_not_many(number, nouns, text):
    assert counted(number, *nouns) == text
