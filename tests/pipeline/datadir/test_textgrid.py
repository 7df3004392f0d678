"""Praat's TextGrid, read in both of its forms and written in the long one."""

import pytest

from features.errors import DataError
from pipeline.datadir.textgrid import read_textgrid, write_textgrid
from pipeline.datadir.times import PhoneInterval

MARKS = [
    PhoneInterval("sil", 0.0, 0.15),
    PhoneInterval("a", 0.15, 0.3),
    PhoneInterval('b"', 0.4, 0.5),
]
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
0.7
<exists>
3
"IntervalTier"
"words"
0
0.7
1
0
0.7
"take 3 = yes"
"TextTier"
"bell"
0
0.7
1
0.2
"ping"
"IntervalTier"
"Phones"
0
0.7
3
0
0.3
"AH0"
0.3
0.5
""
0.5
0.7
"B"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("form", ["long", "short"])
def test_textgrids_are_read(form, encoding, tmp_path):
    path = tmp_path / "a.TextGrid"
    if form == "long":
        write_textgrid(path, MARKS, duration=0.7)
        expected = MARKS
    else:
        path.write_text(SHORT)
        expected = [PhoneInterval("AH0", 0.0, 0.3), PhoneInterval("B", 0.5, 0.7)]
    path.write_text(path.read_text(), encoding=encoding)
    assert read_textgrid(path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "not a Praat TextGrid"),
        (
            SHORT.replace('"Phones"', '"segments"'),
            "no interval tier 'phones'; it has words, seg",
        ),
        (SHORT[:-60], "cut short or damaged"),
    ],
)
def test_wrong_textgrids_are_told(content, message, tmp_path):
    (tmp_path / "a.TextGrid").write_text(content)
    with pytest.raises(DataError, match=message):
        read_textgrid(tmp_path / "a.TextGrid")
