"""Kaldi archives: matrices and vectors in `.ark`, their places in `.scp`."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import kaldiio
import numpy as np

from features.errors import DataError
from features.files import atomic_file, write_text

_COMPRESSION = 2  # Kaldi's kSpeechFeature: a byte a value, scaled by column


class ArchiveWriter:
    """Writes an archive and its index; both appear together when the block ends well.

    Args:
        ark: path of the archive; the index names it by this path.
        scp: path of the index.
        compress: matrices in Kaldi's compressed form, a byte a value.
    """

    def __init__(
        self,
        ark: str | os.PathLike[str],
        scp: str | os.PathLike[str],
        *,
        compress: bool = False,
    ) -> None:
        self._ark, self._scp = Path(ark), Path(scp)
        self._compress = compress
        self._lines: dict[str, str] = {}
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(atomic_file(self._ark))
        self._file = self._stack.enter_context(open(temporary, "wb"))
        return self

    def write(self, key: str, value: np.ndarray) -> None:
        """Appends a [T, F] float or [T] int32 array under a key.

        Raises:
            DataError: the key was written before.
        """
        if key in self._lines:
            raise DataError(f"{self._ark}: key {key!r} comes twice")
        self._lines[key] = f"{self._ark}:{self._file.tell() + len(key.encode()) + 1}"
        method = _COMPRESSION if self._compress and value.ndim == 2 else None
        kaldiio.save_ark(self._file, {key: value}, compression_method=method)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            # An old index must not outlive its archive: killed in between, there is neither.
            self._scp.unlink(missing_ok=True)
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            rows = sorted(self._lines.items(), key=lambda row: row[0].encode())
            write_text(self._scp, "".join(f"{key} {place}\n" for key, place in rows))


def read_scp(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads `key place` lines.

    Raises:
        DataError: the file is missing, a line is not of that form, or a key comes twice.
    """
    places: dict[str, str] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; check the path, or run the stage that makes it"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save it as UTF-8") from None
    for number, line in enumerate(lines, start=1):
        key, _, place = line.strip().partition(" ")
        if not place:
            raise DataError(
                f"{path}:{number}: expected a key and a place, got {line!r}"
            )
        if key in places:
            raise DataError(
                f"{path}:{number}: key {key!r} comes twice; remove one line"
            )
        places[key] = place.strip()
    return places


class ArchiveReader(Mapping[str, np.ndarray]):
    """Arrays by key, read from their archive when they are asked for.

    Archives are named relative to the working directory, as Kaldi does. Commands in place
    of paths and pickled values are refused.

    Args:
        scp: path of the index.
    """

    def __init__(self, scp: str | os.PathLike[str]) -> None:
        self._open: tuple[str, BinaryIO] | None = None  # first, for `__del__`
        self._scp = Path(scp)
        self._places = read_scp(scp)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _seek(self, key: str) -> BinaryIO:
        place = self._places[key]
        name, _, offset = place.rpartition(":")
        if place.endswith("|") or not offset.isdigit():
            raise DataError(
                f"{self._scp}: {key!r}: expected FILE:OFFSET, got {place!r}"
            )
        if self._open is None or self._open[0] != name:
            self.close()
            try:
                self._open = name, open(name, "rb")
            except FileNotFoundError:
                raise DataError(
                    f"{self._scp}: {key!r}: {name}: no such file from {os.getcwd()}; run from the "
                    "folder the archive was made in, or make it again"
                ) from None
        file = self._open[1]
        file.seek(int(offset))
        return file

    def __getitem__(self, key: str) -> np.ndarray:
        file = self._seek(key)
        start = file.tell()
        head = file.read(3)
        file.seek(start)
        if head == b"PKL":
            raise DataError(
                f"{self._scp}: {key!r}: a pickled value; archives hold numbers only"
            )
        try:
            array = kaldiio.matio.read_kaldi(file)
        except Exception:  # kaldiio raises whatever the bytes make it stumble on
            raise DataError(
                f"{self._scp}: {key!r}: no whole array at {self._places[key]}: a damaged archive "
                f"or a wrong offset, or another file of that name in {os.getcwd()}; make both "
                "again, or run from the folder the archive was made in"
            ) from None
        return np.asarray(array)

    def close(self) -> None:
        """Closes the archive that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __del__(self) -> None:
        self.close()
