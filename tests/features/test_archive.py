"""Archives: what is written is read, by kaldiio too; damage is told."""

import gc
import sys

import kaldiio
import numpy as np
import pytest

from features.archive import ArchiveReader, ArchiveWriter, read_scp
from features.errors import DataError

MATRIX = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)


@pytest.fixture
def stored(tmp_path):
    with ArchiveWriter(tmp_path / "a.ark", tmp_path / "a.scp") as writer:
        writer.write("utt2", MATRIX)
        writer.write("utt1", np.arange(7, dtype=np.int32))
    return tmp_path


def test_arrays_come_back(stored):
    reader = ArchiveReader(stored / "a.scp")
    assert list(reader) == ["utt1", "utt2"]
    np.testing.assert_array_equal(reader["utt2"], MATRIX)
    np.testing.assert_array_equal(reader["utt1"], np.arange(7))
    assert reader["utt1"].dtype == np.int32


def test_an_index_in_another_encoding_is_told(stored):
    (stored / "a.scp").write_bytes(b"utt1 \x80.ark:5\n")
    with pytest.raises(DataError, match="a.scp: not UTF-8; save it as UTF-8"):
        read_scp(stored / "a.scp")


def test_kaldiio_reads_them(stored):
    loaded = kaldiio.load_scp(str(stored / "a.scp"))
    np.testing.assert_array_equal(loaded["utt2"], MATRIX)


def test_compressed_archives_are_smaller_and_near(tmp_path):
    with ArchiveWriter(tmp_path / "c.ark", tmp_path / "c.scp", compress=True) as writer:
        writer.write("u", np.tile(MATRIX, (20, 1)))
    back = ArchiveReader(tmp_path / "c.scp")["u"]
    span = MATRIX.max() - MATRIX.min()
    np.testing.assert_allclose(back, np.tile(MATRIX, (20, 1)), atol=span / 64)
    assert (tmp_path / "c.ark").stat().st_size < 0.3 * 20 * MATRIX.nbytes


def test_nothing_appears_when_writing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with ArchiveWriter(tmp_path / "a.ark", tmp_path / "a.scp") as writer:
            writer.write("u", MATRIX)
            1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_key_twice_is_told(tmp_path):
    with pytest.raises(DataError, match="key 'u' comes twice"):
        with ArchiveWriter(tmp_path / "a.ark", tmp_path / "a.scp") as writer:
            writer.write("u", MATRIX)
            writer.write("u", MATRIX)


BROKEN = {
    "cut": (
        lambda ark: ark[:80],
        "'u': no whole array at .*a.ark:2: a damaged archive or",
    ),
    "shifted": (
        lambda ark: b"xyz" + ark,
        "no whole array at .*: a damaged archive or a wrong",
    ),
    "pickle": (lambda ark: ark.replace(b"\0B", b"PKL\x80\x04N.", 1), "a pickled value"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_damage_is_told(kind, tmp_path):
    with ArchiveWriter(tmp_path / "a.ark", tmp_path / "a.scp") as writer:
        writer.write("u", MATRIX)
    change, message = BROKEN[kind]
    ark = (tmp_path / "a.ark").read_bytes()
    (tmp_path / "a.ark").write_bytes(change(ark))
    with pytest.raises(DataError, match=message):
        ArchiveReader(tmp_path / "a.scp")["u"]


def test_commands_in_an_index_are_refused(tmp_path):
    (tmp_path / "a.scp").write_text("u touch ran |\n")
    with pytest.raises(DataError, match="expected FILE:OFFSET"):
        ArchiveReader(tmp_path / "a.scp")["u"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("u\n", "a.scp:1: expected a key"), ("u a:1\nu b:1\n", "a.scp:2: .*twice")],
)
def test_a_wrong_index_is_told(text, message, tmp_path):
    (tmp_path / "a.scp").write_text(text)
    with pytest.raises(DataError, match=message):
        read_scp(tmp_path / "a.scp")


def test_an_absent_index_is_all_that_is_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with pytest.raises(
        DataError, match="absent.scp: no such file; check the path, or run"
    ):
        ArchiveReader(tmp_path / "absent.scp")
    gc.collect()
    assert told == []
