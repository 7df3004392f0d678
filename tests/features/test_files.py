"""Files and folders are whole or absent, whatever happens to their writer."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from features.files import atomic_file, atomic_folder, placed, write_text
from features.temporaries import recover

# Puts a new folder in the place of an old one and dies, or waits, where it is told to.
WRITER = """
import os, shutil, signal, sys
from pathlib import Path
from features import files, temporaries

place, end, final = sys.argv[1:]

def stop(*rest, **names):
    if end == "wait":
        print("here", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)

if place == "before the new one is named":
    real, done = os.replace, []
    os.replace = lambda a, b: stop() if done else done.append(real(a, b))
if place == "before the old one is gone":
    shutil.rmtree = stop
if place == "in a file":
    with files.atomic_file(final) as path:
        path.write_text("new")
        stop()
with files.atomic_folder(final) as folder:
    (folder / "new").write_text("new")
    if place == "while it is filled":
        stop()
"""
PLACES = (
    "while it is filled",
    "before the new one is named",
    "before the old one is gone",
)


def writer(place, end, final):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, place, end, str(final)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(place, final):
    """Whether the writer died as it was told."""
    with writer(place, "die", final) as process:
        process.communicate(timeout=30)
    return process.returncode == -signal.SIGKILL


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path):
    """A folder that is to be replaced."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("old")
    return tmp_path / "set"


def test_files_and_folders_are_whole_or_absent(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    for make, name in ((atomic_file, "file"), (atomic_folder, "folder")):
        with pytest.raises(ZeroDivisionError), make(tmp_path / name):
            1 / 0
    assert (tmp_path / "file").read_text() == "old"
    assert (tmp_path / "folder" / "old").read_text() == "old"
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "new").write_text("new")
    assert names(tmp_path / "folder") == ["new"]
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_writer_of_a_folder_leaves_the_old_or_the_new_one(place, old):
    assert killed(place, old)
    assert len(names(old.parent)) > 1 or not old.exists()
    recover(old)
    expected = ["new"] if place == "before the old one is gone" else ["old"]
    assert names(old) == expected
    assert names(old.parent) == ["set"]


@pytest.mark.parametrize("place", PLACES)
def test_what_a_living_writer_holds_stays(place, old):
    with writer(place, "wait", old) as process:
        assert process.stdout.readline() == "here\n"
        before = names(old.parent)
        recover(old)
        assert names(old.parent) == before
        process.kill()


def test_the_next_writer_of_a_file_sweeps_what_a_killed_one_left(tmp_path):
    final = tmp_path / "feats.ark"
    assert killed("in a file", final)
    (left,) = names(tmp_path)
    assert left.startswith(".feats.") and left.endswith(".tmp.ark")
    (tmp_path / ".feats.notes.tmp.ark").write_text("of another program")
    (tmp_path / ".cmvn.abcdefgh.tmp.ark").write_text("of another file")
    write_text(final, "whole")
    assert names(tmp_path) == [
        ".cmvn.abcdefgh.tmp.ark",
        ".feats.notes.tmp.ark",
        "feats.ark",
    ]


def test_errors_name_the_final_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught:
        with atomic_file(tmp_path / "feats.ark"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "feats.ark")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as caught:
        write_text(tmp_path / "file" / "inside", "x")
    assert str(tmp_path / "file") in str(caught.value.filename)


def test_a_full_disk_is_named_where_the_system_does_not():
    with pytest.raises(OSError, match="No space left on device: 'out'"):
        with placed("out"), open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")
    with pytest.raises(FileNotFoundError, match="absent"), placed("out"):
        open("/absent", "rb")
