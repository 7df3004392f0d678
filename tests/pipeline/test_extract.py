"""The extract stage: what it writes, that it repeats, and every bad input."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features.archive import ArchiveReader
from features.normalize import CmvnStats
from pipeline.__main__ import main
from pipeline.datadir.tables import read_table, write_table

RATE = 16000


def noise(seconds: float, seed: int) -> np.ndarray:
    return (
        np.random.default_rng(seed)
        .normal(0, 0.1, int(seconds * RATE))
        .astype(np.float32)
    )


@pytest.fixture
def data(tmp_path) -> Path:
    """Eighty utterances of two speakers: more than two blocks of work."""
    folder = tmp_path / "data"
    folder.mkdir()
    wav, spk = {}, {}
    for number in range(80):
        utt = f"{'ab'[number % 2]}-{number:02d}"
        wav[utt], spk[utt] = str(tmp_path / f"{utt}.flac"), utt[0]
        soundfile.write(wav[utt], noise(0.2 + 0.01 * number, number), RATE)
    write_table(folder / "wav.scp", wav)
    write_table(folder / "utt2spk", spk)
    return folder


def extract(folder: Path, *options: str) -> int:
    return main(["extract", str(folder), *options])


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_it_writes_features_statistics_and_lengths(data):
    assert extract(data) == 0
    features = ArchiveReader(data / "feats.scp")
    frames = read_table(data / "utt2num_frames")
    assert {u: str(len(m)) for u, m in features.items()} == frames
    assert read_table(data / "utt2dur")["a-00"] == "0.2000"
    stats = CmvnStats(ArchiveReader(data / "cmvn.scp")["b"])
    own = np.concatenate([m for u, m in features.items() if u[0] == "b"])
    np.testing.assert_allclose(stats.mean, own.mean(0), atol=1e-4)


def test_the_number_of_processes_changes_nothing(data, tmp_path):
    shutil.copytree(data, tmp_path / "other")
    assert extract(data) == 0
    assert extract(tmp_path / "other", "--nj=2") == 0
    one, two = content(data), content(tmp_path / "other")
    assert one["feats.ark"] == two["feats.ark"]
    assert one["cmvn.ark"] == two["cmvn.ark"]


def test_a_line_without_a_path_is_told(data, capsys):
    table = data / "wav.scp"
    table.write_text(re.sub(r"(?m)^a-02 .*", "a-02", table.read_text()))
    assert extract(data) == 2
    assert "wav.scp: no path of recording 'a-02' for utt" in capsys.readouterr().err


def test_finished_work_is_not_redone_but_changed_settings_are(data, capsys, tmp_path):
    assert extract(data) == 0
    before = (data / "feats.ark").stat().st_mtime_ns
    assert extract(data) == 0
    assert "is up to date" in capsys.readouterr().err
    assert (data / "feats.ark").stat().st_mtime_ns == before
    (tmp_path / "mfcc.yaml").write_text("kind: mfcc\n")
    assert extract(data, "--config", str(tmp_path / "mfcc.yaml")) == 0
    assert ArchiveReader(data / "feats.scp")["a-00"].shape[1] == 13


def test_segments_and_speeds_are_honoured(data):
    write_table(data / "segments", {"a-s1": "a-78 0.1 0.4", "a-s2": "b-79 0.2 -1"})
    write_table(data / "utt2spk", {"a-s1": "a", "a-s2": "a"})
    write_table(data / "utt2speed", {"a-s2": "1.25"})
    assert extract(data) == 0
    durations = {u: float(d) for u, d in read_table(data / "utt2dur").items()}
    assert durations["a-s1"] == pytest.approx(0.3, abs=1e-3)
    assert durations["a-s2"] == pytest.approx((0.99 - 0.2) / 1.25, abs=2e-3)


def test_changed_audio_and_lost_outputs_are_noticed(data, tmp_path, capsys):
    assert extract(data) == 0
    for damage in (
        lambda: soundfile.write(tmp_path / "a-00.flac", noise(0.7, 99), RATE),
        lambda: (data / "feats.ark").unlink(),
        lambda: (data / "feats.ark").write_bytes(b"cut short"),
        lambda: (data / "utt2dur").unlink(),
    ):
        damage()
        capsys.readouterr()
        assert extract(data) == 0
        assert "is up to date" not in capsys.readouterr().err
    assert ArchiveReader(data / "feats.scp")["a-00"].shape[0] == 68


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (
            {"a-s1": "a-78 0.1 99.0"},
            "0.980 s long, but a segment ends at 99.000 s; mend segments",
        ),
        (
            {"a-s1": "a-78 0.5 0.4"},
            "'a-s1' from 0.5 s to 0.4 s: expected 0 <= start < end",
        ),
        ({"a-s2": "a-78 0.1 0.4"}, "no segment of utterance 'a-s1'"),
        ({"a-s1": "a-78 nan 0.4"}, "end and perhaps a channel from 0, got 'a-78 nan"),
        ({"a-s1": "a-78 0.1 0.4 A"}, "perhaps a channel from 0, got 'a-78 0.1 0.4 A'"),
        ({"a-s1": "a-78 0.1 0.4 0 1"}, "perhaps a channel from 0, got 'a-78 0.1"),
        ({"a-s1": "a-78 0.1 0.4 1"}, "1 channel, counted from 0, but a segment is"),
    ],
)
def test_wrong_segments_are_told(data, segments, message, capsys):
    write_table(data / "segments", segments)
    write_table(data / "utt2spk", {"a-s1": "a"})
    assert extract(data) == 2
    assert message in capsys.readouterr().err


def test_all_bad_audio_is_told_and_nothing_is_half_written(data, tmp_path, capsys):
    (tmp_path / "a-00.flac").write_bytes(b"")
    soundfile.write(tmp_path / "b-01.flac", np.zeros(4000), RATE)
    (tmp_path / "a-02.flac").unlink()
    before = sorted(content(data))
    assert extract(data) == 2
    said = capsys.readouterr().err
    for part in ("'a-00'", "empty file", "'b-01'", "silent", "'a-02'", "no such file"):
        assert part in said
    assert "Traceback" not in said
    assert sorted(content(data)) == before


def test_bad_audio_is_left_out_when_asked_and_named(data, tmp_path, capsys):
    (tmp_path / "a-00.flac").write_bytes(b"")
    assert extract(data, "--skip-bad") == 0
    assert "a-00" not in read_table(data / "utt2num_frames")
    assert (
        "kept 79 of 80 utterances; 1 left out: bad audio (a-00)"
        in capsys.readouterr().err
    )


def test_another_rate_is_resampled_and_counted_or_refused(data, tmp_path, capsys):
    soundfile.write(tmp_path / "a-00.flac", noise(0.5, 1), 8000)
    assert extract(data, "--rate", "refuse") == 2
    assert "8000 Hz where features want 16000 Hz" in capsys.readouterr().err
    assert extract(data) == 0
    assert "1 file resampled to 16000 Hz" in capsys.readouterr().err


def test_a_full_disk_is_told(data, capsys):
    import errno
    from unittest.mock import patch

    full = OSError(errno.ENOSPC, "No space left on device", str(data / "feats.ark"))
    with patch("features.archive.kaldiio.save_ark", side_effect=full):
        assert extract(data) == 2
    assert (
        "feats.ark: disk full; free some space and run again" in capsys.readouterr().err
    )
    assert not (data / "feats.ark").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nj", "0"], "--nj: expected at least 1, got 0"),
        (["--config", "absent.yaml"], "absent.yaml: no such file"),
    ],
)
def test_wrong_options_are_told(data, options, message, capsys):
    assert extract(data, *options) == 2
    assert message in capsys.readouterr().err


def test_a_frame_of_days_is_told_once_and_not_for_every_utterance(
    data, tmp_path, capsys
):
    (tmp_path / "f.yaml").write_text("frame_length_ms: 1e9\n")
    assert extract(data, "--config", str(tmp_path / "f.yaml")) == 2
    told = capsys.readouterr().err
    assert "f.yaml: frame_length_ms: Input should be less than or equal to 1000" in told
    assert told.count("\n") == 1


def test_a_misspelt_setting_is_told_with_the_right_one(data, tmp_path, capsys):
    (tmp_path / "f.yaml").write_text("num_mel: 40\n")
    assert extract(data, "--config", str(tmp_path / "f.yaml")) == 2
    assert "unknown key 'num_mel'; did you mean 'num_mels'?" in capsys.readouterr().err
