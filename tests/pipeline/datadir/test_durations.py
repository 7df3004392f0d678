"""Segments against the length of their recordings."""

import numpy as np
import pytest
import soundfile

from features.errors import DataError
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.segments import Segment
from pipeline.datadir.validation import check_datadir


@pytest.fixture
def cut(tmp_path):
    """Writes a data dir of one recording of 2 s, cut in two; the second segment is given."""
    samples = np.full(32000, 0.1, np.float32)
    soundfile.write(tmp_path / "rec.wav", samples, 16000)

    def write(start, end, source=str(tmp_path / "rec.wav")):
        segments = {"s-1": Segment("rec", 0.0, 1.0), "s-2": Segment("rec", start, end)}
        speakers = dict.fromkeys(segments, "s")
        data = DataDir(tmp_path / "d", {"rec": source}, speakers, segments=segments)
        write_datadir(data, data.path)
        return data.path

    return write


@pytest.mark.parametrize(("start", "end"), [(1.0, 2.0), (1.0, 2.49), (1.5, -1)])
def test_segments_within_their_recording_are_well(cut, start, end):
    assert check_datadir(cut(start, end)) == []


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (
            1.0,
            2.51,
            r"segments:2: ends at 2.510 s, but recording 'rec' is 2.000 s long; mend",
        ),
        (2.0, 2.05, r"segments:2: begins at 2.000 s, but recording 'rec' is 2.000 s"),
        (3.0, -1, r"segments:2: begins at 3.000 s"),
    ],
)
def test_segments_past_the_end_are_named(cut, start, end, message):
    with pytest.raises(DataError, match=message):
        check_datadir(cut(start, end))


def test_reco2dur_is_believed_where_it_is(cut):
    path = cut(1.0, 2.0)
    (path / "reco2dur").write_text("rec 1.4\n")
    with pytest.raises(DataError, match="ends at 2.000 s, .* is 1.400 s long"):
        check_datadir(path)


def test_commands_are_not_run_for_their_length(cut, tmp_path):
    path = cut(1.0, 9.0, f"touch {tmp_path}/ran |")
    assert check_datadir(path) != []  # that it was not tried
    assert not (tmp_path / "ran").exists()


def test_what_is_no_audio_is_left_to_those_who_read_it(cut, tmp_path):
    (tmp_path / "x.wav").write_text("no audio")
    assert check_datadir(cut(1.0, 9.0, str(tmp_path / "x.wav"))) == []
