"""Files and folders that appear whole or not at all."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from features.errors import ConfigError
from features.temporaries import (
    recover,
    replace_folder,
    temporary_file,
    temporary_folder,
)


def _settle(temporary: Path, final: Path) -> None:
    """Flushes a file to disk and gives it its name."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, final)


@contextmanager
def placed(path: str | os.PathLike[str]) -> Iterator[None]:
    """Names a path in errors of the system that name none, as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and not error.filename:
            error.filename = os.fspath(path)
        raise


@contextmanager
def _named(final: Path) -> Iterator[None]:
    """Names the final path in errors that name none, or a temporary one beside it."""
    try:
        yield
    except OSError as error:
        name = os.path.abspath(os.fsdecode(error.filename or final))
        if name.startswith(os.path.abspath(final.parent / f".{final.stem}.")) or (
            not error.filename
        ):
            error.filename, error.filename2 = str(final), None
        raise


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary name beside `path`; renames it to `path` when the block ends well.

    The suffix of `path` is kept (writers choose a format by it). On any exception the
    temporary file is removed and an older `path` stays as it was. What a killed process
    left of the same file is swept.

    Args:
        path: the final name; its folder is made when absent.

    Yields:
        The name to write to; the block must fill it and must not replace it.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    recover(final)
    with _named(final), temporary_file(final) as temporary:
        yield temporary
        _settle(temporary, final)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a UTF-8 text file whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; it replaces `path` when the block ends well.

    What a killed process left of the same folder is swept; one that was killed while it put
    the new folder in the old one's place leaves the old one under another name, until the
    next `atomic_folder` or `recover` gives it its name back.

    Args:
        path: the final folder; an older one is removed only once the new one is complete.

    Yields:
        The empty folder to fill.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    recover(final)
    with _named(final), temporary_folder(final) as temporary:
        yield temporary
        replace_folder(temporary, final)


def check_apart(
    out: str | os.PathLike[str],
    sources: Mapping[str, str | os.PathLike[str]],
    *,
    replaced: bool = False,
) -> None:
    """Checks that an output folder is no folder it is made from.

    Args:
        out: the folder to write.
        sources: what is read, by what comes from there; links are followed.
        replaced: whether all that is in the folder goes; it must hold no source then.

    Raises:
        ConfigError: to write it would change or remove what is read.
    """
    folder = Path(out).resolve()
    for what, source in sources.items():
        place = Path(source).resolve()
        if folder == place:
            raise ConfigError(f"{out}: is where the {what} come from; give another")
        if replaced and folder in place.parents:
            raise ConfigError(
                f"{out}: holds {source}, where the {what} come from; give another"
            )
