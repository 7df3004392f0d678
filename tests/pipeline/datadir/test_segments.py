"""Lines of `segments`, with and without a channel."""

import pytest

from features.parts import Part
from pipeline.datadir.segments import Segment, parse_segment


@pytest.mark.parametrize(
    ("line", "segment", "part"),
    [
        ("r 0.5 1.25", Segment("r", 0.5, 1.25), Part(0.5, 1.25)),
        ("r 2 -1", Segment("r", 2.0, -1.0), Part(2.0)),
        ("r 0 1e1 1", Segment("r", 0.0, 10.0, 1), Part(0.0, 10.0, 1)),
    ],
)
def test_lines_are_read_and_written(line, segment, part):
    assert parse_segment(line) == segment
    assert segment.part == part
    assert parse_segment(str(segment)) == segment


@pytest.mark.parametrize(
    "line", ["", "r", "r 0", "r 0 nan", "r 0 1 A", "r 0 1 -1", "r 0 1 1.0", "r 0 1 0 x"]
)
def test_other_lines_are_none(line):
    assert parse_segment(line) is None
