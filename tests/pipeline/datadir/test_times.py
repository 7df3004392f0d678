"""Time marks: read from every format, and spread over frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.datadir.times import (
    PhoneInterval,
    frame_labels,
    holes,
    read_ctm,
    read_phn,
    write_ctm,
)

MARKS = [
    PhoneInterval("sil", 0.0, 0.15),
    PhoneInterval("a", 0.15, 0.3),
    PhoneInterval('b"', 0.4, 0.5),
]


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


def test_any_decimal_number_is_a_time(tmp_path):
    (tmp_path / "ctm").write_text("u 1 0. .1 a\nu 1 1e-1 +.2 b 1.0 lex spk\n")
    assert read_ctm(tmp_path / "ctm")["u"] == [
        PhoneInterval("a", 0.0, 0.1),
        PhoneInterval("b", 0.1, 0.1 + 0.2, 1.0),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u 1 0.0 0.1", "a.ctm:1: expected utt channel start duration phone"),
        ("u 1 0,0 0.1 a", "a.ctm:1: start '0,0': expected a number; mend it"),
        ("u 1 0.0 nan a", "a.ctm:1: duration 'nan': expected a number; mend it"),
        ("u 1 0.0 0.1 a b", "a.ctm:1: confidence 'b': expected a number; mend it"),
        ("u 1 0.0 0.1 a 1.2", "a.ctm:1: confidence 1.2 of 'a': expected 0 to 1"),
        ("u 1 0.0 0.1 a -0.1", "a.ctm:1: confidence -0.1 of 'a': expected 0 to 1"),
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


def test_holes_are_what_no_mark_covers():
    assert holes(MARKS, 0.02) == [(0.3, 0.4)]
    assert holes(MARKS, 0.11) == []
    assert holes(MARKS[2:], 0.02) == [(0.0, 0.4)]


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
