"""Temporary names beside final ones, and what killed processes leave of them.

Whoever makes a temporary file or folder holds its lock (flock) until it is renamed or removed.
The system lets go of a dead process's locks: what can be locked is nobody's any more.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_NEW, _OLD = ".tmp", ".old"
# .NAME.RANDOM.tmp.SUFFIX of a file NAME.SUFFIX; .NAME.RANDOM.tmp and .old of a folder NAME
_LEFTOVER = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.(?:tmp|old)(\.[^.]*)?", flags=re.DOTALL)


@contextmanager
def _held(make: Callable[[], Path]) -> Iterator[Path]:
    """A new file or folder, locked until the block ends."""
    while True:
        path = make()
        descriptor = os.open(path, os.O_RDONLY)
        # Where the file system has no locks, a sweeper gets none either and leaves all as it is.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweeper may have come between making and locking it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                break
        os.close(descriptor)
    try:
        yield path
    finally:
        os.close(descriptor)


@contextmanager
def temporary_file(final: Path) -> Iterator[Path]:
    """Yields a new empty file beside `final`, with its suffix and usual permissions."""

    def make() -> Path:
        descriptor, name = tempfile.mkstemp(
            dir=final.parent, prefix=f".{final.stem}.", suffix=f"{_NEW}{final.suffix}"
        )
        # mkstemp makes files private; the finished file gets what `open` would have given.
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(descriptor, 0o666 & ~umask)
        os.close(descriptor)
        return Path(name)

    with _held(make) as temporary:
        try:
            yield temporary
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _folder(final: Path, kind: str) -> Iterator[Path]:
    def make() -> Path:
        prefix = f".{final.name}."
        return Path(tempfile.mkdtemp(dir=final.parent, prefix=prefix, suffix=kind))

    with _held(make) as temporary:
        yield temporary


@contextmanager
def temporary_folder(final: Path) -> Iterator[Path]:
    """Yields a new empty folder beside `final`."""
    with _folder(final, _NEW) as temporary:
        try:
            temporary.chmod(0o755)
            yield temporary
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def replace_folder(new: Path, final: Path) -> None:
    """Renames `new` to `final`; an older `final` is set aside for that moment, then removed."""
    if not final.exists():
        os.replace(new, final)
        return
    with _folder(final, _OLD) as retired:
        os.replace(final, retired / final.name)
        try:
            os.replace(new, final)
        except BaseException:
            os.replace(retired / final.name, final)
            retired.rmdir()
            raise
        shutil.rmtree(retired)


def _listed(folder: str) -> dict[str, list[Path]]:
    """What stands under temporary names in a folder, by final name, the latest first."""
    found: dict[str, list[Path]] = {}
    with suppress(OSError):
        with os.scandir(folder) as entries:
            paths = [Path(e.path) for e in entries if e.name.startswith(".")]
        paths.sort(key=lambda path: path.lstat().st_mtime, reverse=True)
        for path in paths:
            if match := _LEFTOVER.fullmatch(path.name):
                found.setdefault(match[1] + (match[2] or ""), []).append(path)
    return found


# Once a process and folder: one that holds a file an utterance is not listed for each.
_leftovers = cache(_listed)


def _sweep(path: Path, final: Path) -> None:
    """Removes a temporary that nobody holds; a retired folder without successor comes back."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        retired = path / final.name
        if path.suffix == _OLD and retired.is_dir() and not final.exists():
            os.replace(retired, final)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def recover(path: str | os.PathLike[str]) -> None:
    """Clears away what killed processes left beside a file or folder.

    A folder that was set aside for a new one that never came gets its name back. What a
    living process holds stays, and so does all where the file system has no locks.

    Args:
        path: the final name.
    """
    final = Path(path)
    for leftover in _leftovers(str(final.parent.absolute())).pop(final.name, []):
        with suppress(OSError):
            _sweep(leftover, final)


def recover_all(folder: str | os.PathLike[str]) -> None:
    """As `recover`, for all files and folders in a folder.

    Args:
        folder: where to look; not below it.
    """
    for name, leftovers in _listed(os.fspath(folder)).items():
        for leftover in leftovers:
            with suppress(OSError):
                _sweep(leftover, Path(folder) / name)
