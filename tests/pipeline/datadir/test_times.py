"""Time marks: read from every format, and spread over frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.datadir.times import (
    PhoneInterval,
    frame_labels,
    read_ctm,
    read_phn,
    read_textgrid,
    write_ctm,
    write_textgrid,
)

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


def test_phn_counts_samples(tmp_path):
    (tmp_path / "a.phn").write_text("0 2400 h#\n2400 3200 sh\n")
    assert read_phn(tmp_path / "a.phn") == [
        PhoneInterval("h#", 0.0, 0.15),
        PhoneInterval("sh", 0.15, 0.2),
    ]


def test_ctm_comes_back(tmp_path):
    write_ctm(tmp_path / "ctm", {"u": MARKS, "b": MARKS[1:2]})
    back = read_ctm(tmp_path / "ctm")
    assert list(back) == ["b", "u"]
    assert [m.phone for m in back["u"]] == ["sil", "a", 'b"']
    np.testing.assert_allclose([m.end for m in back["u"]], [0.15, 0.3, 0.5], atol=1e-4)


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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u 1 0.0 0.1", "a.ctm:1: expected utt channel start duration phone"),
        ("u 1 0.0 0.0 a", "a.ctm:1: .*expected 0 <= start < end"),
        (
            "u 1 0.0 0.5 a\nu 1 0.2 0.1 b",
            "a.ctm:2: 'b' of 'u' begins before the last phone ends; mend",
        ),
    ],
)
def test_wrong_ctm_is_told(line, message, tmp_path):
    (tmp_path / "a.ctm").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        read_ctm(tmp_path / "a.ctm")


def test_frames_take_the_phone_at_their_centre():
    labels = frame_labels(MARKS, num_frames=60, frame_shift=0.01, frame_length=0.025)
    # Frame t is centred at 10 t + 12.5 ms: the first one past 150 ms is t = 14, past 400 ms t = 39.
    assert labels[:14] == ["sil"] * 14
    assert labels[14:39] == ["a"] * 25  # the gap takes the phone before it
    assert labels[39:] == ['b"'] * 21


@given(st.lists(st.floats(0.02, 0.3), min_size=1, max_size=20))
def test_every_phone_of_two_frames_is_heard(lengths):
    ends = np.cumsum(lengths)
    marks = [
        PhoneInterval(str(n), float(end - length), float(end))
        for n, (end, length) in enumerate(zip(ends, lengths, strict=True))
    ]
    frames = int(ends[-1] / 0.01) + 2
    labels = frame_labels(
        marks, num_frames=frames, frame_shift=0.01, frame_length=0.025
    )
    assert len(labels) == frames
    assert set(labels) == {m.phone for m in marks}


@pytest.mark.parametrize(
    ("marks", "frames", "message"),
    [
        ([], 5, "no phone is marked"),
        (MARKS, 2, "marks of 3 phones but 2 frames"),
        (
            [*MARKS, PhoneInterval("z", 3.0, 3.1)],
            50,
            "ends at 3.100 s but the features end",
        ),
        (
            [*MARKS, PhoneInterval("z", 0.5, 0.8)],
            50,
            "ends at 0.800 s .* end at 0.515 s",
        ),
    ],
)
def test_times_that_do_not_fit_are_told(marks, frames, message):
    with pytest.raises(DataError, match=message):
        frame_labels(marks, num_frames=frames, frame_shift=0.01, frame_length=0.025)
