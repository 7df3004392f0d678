"""Lists in messages."""

import pytest

from features.errors import named


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "u0"), (3, "u0, u1, u2"), (5, "u0, u1, u2 and 2 more")],
)
def test_a_list_tells_how_much_it_leaves_out(count, text):
    assert named([f"u{n}" for n in range(count)], 3) == text
