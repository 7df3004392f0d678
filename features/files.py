"""Files that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _settle(temporary: Path, final: Path) -> None:
    """Flushes a file to disk and gives it its name."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, final)


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary name beside `path`; renames it to `path` when the block ends well.

    The suffix of `path` is kept (writers choose a format by it). On any exception the
    temporary file is removed and an older `path` stays as it was.

    Args:
        path: the final name; its folder is made when absent.

    Yields:
        The name to write to; the block must create it.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=final.parent, prefix=f".{final.stem}.", suffix=f".tmp{final.suffix}"
    )
    os.close(descriptor)
    temporary = Path(name)
    # mkstemp makes files private; the finished file gets what `open` would have given.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    try:
        yield temporary
        _settle(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a UTF-8 text file whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; it replaces `path` when the block ends well.

    Args:
        path: the final folder; an older one is removed only once the new one is complete.

    Yields:
        The empty folder to fill.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.tmp"))
    temporary.chmod(0o755)
    try:
        yield temporary
        if final.exists():
            retired = Path(
                tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.old")
            )
            os.replace(final, retired / final.name)
            os.replace(temporary, final)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
