"""Windows back to recordings: phones joined at cuts, posteriors row by row."""

import glob
import hashlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.batch.items import Item
from pipeline.batch.journal import Outcome
from pipeline.batch.phones import Phones, Row, join
from pipeline.batch.windows import Window
from pipeline.batch.words import Word


class Phone(NamedTuple):
    """A phone id over network frames `start` to `end` (not included) of a recording."""

    phone: int
    start: int
    end: int
    confidence: float


# Start and end in seconds of what lies in a recording of so many frames and seconds.
Spans = Callable[[Sequence[Phone | Word], int, float], list[tuple[float, float]]]
Align = Callable[[Item, np.ndarray], Sequence[Word]]


def part_path(folder: Path, name: str) -> Path:
    """Where the posteriors of an item are until they are put together."""
    key = hashlib.sha256(name.encode()).hexdigest()
    return folder / key[:2] / f"{key}.mat"


def _unfinished(part: Path) -> Path:
    return part.with_name(f"{part.name}.{socket.gethostname()}.{os.getpid()}")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def sweep_parts(folder: Path) -> None:
    """Removes what dead processes of this machine, or this one, left unfinished."""
    for path in folder.glob(f"*/*.mat.{glob.escape(socket.gethostname())}.*"):
        process = int(path.suffix[1:])
        if process == os.getpid() or not _alive(process):
            path.unlink(missing_ok=True)


@dataclass
class _Open:
    """A recording of which some windows are done."""

    state: tuple[int, int, int]
    frames: int
    windows: dict[int, np.ndarray]
    matrices: dict[int, np.ndarray]
    failed: bool = False


class Assembly:
    """Gathers the windows of recordings; used from several threads.

    Args:
        symbols: of the phones.
        spans: where frames lie in time.
        posteriors: folder for log-posteriors, or None.
        align: finds the words of an item in its log-posteriors; None where none are wanted.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        spans: Spans,
        posteriors: Path | None,
        align: Align | None = None,
    ) -> None:
        self._symbols = symbols
        self._align = align
        self._spans = spans
        self._folder = posteriors
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._failed: set[str] = set()

    def add(
        self,
        item: Item,
        window: Window,
        phones: np.ndarray,
        log_posteriors: np.ndarray,
    ) -> Outcome | None:
        """Takes a window's phones; the outcome when it was the last of its recording.

        Args:
            item, window: what was heard.
            phones: [N] of `FOUND`.
            log_posteriors: [T, S] of the frames that the window answers for.

        Raises:
            DataError: its words cannot be aligned.
        """
        if self._folder is not None:
            self._store(item, window, log_posteriors)
        with self._lock:
            if item.id in self._failed:
                return None
            held = self._open.setdefault(item.id, _Open(item.state(), 0, {}, {}))
            held.windows[window.first] = phones
            held.frames += window.count
            if self._align is not None:
                held.matrices[window.first] = log_posteriors
            if held.frames < window.total:
                return None
            del self._open[item.id]
        outcome = self._outcome(item, window, held)
        if self._folder is not None:
            part = part_path(self._folder, item.id)
            os.replace(_unfinished(part), part)
        return outcome

    def _outcome(self, item: Item, window: Window, held: _Open) -> Outcome:
        """What came of a recording, all of whose windows are done."""
        total, seconds = window.total, window.seconds

        def times(found: Sequence[Phone | Word]) -> Iterator[tuple[float, float]]:
            for first, last in self._spans(found, total, seconds):
                yield round(first, 4), round(last, 4)

        places = sorted(held.windows)

        def rows() -> Iterator[Row]:
            for part in join(held.windows[place] for place in places):
                found = [Phone(*row) for row in part.tolist()]
                for phone, (start, end) in zip(found, times(found), strict=True):
                    sure = round(phone.confidence, 3)
                    yield self._symbols[phone.phone], start, end, sure

        phones = Phones(rows())
        words = None
        if self._align is not None:
            matrix = np.concatenate([held.matrices[place] for place in places])
            found = self._align(item, matrix)
            words = [
                (word.word, *span)
                for word, span in zip(found, times(found), strict=True)
            ]
        return Outcome(
            item.id,
            item.source,
            held.state,
            round(seconds, 4),
            phones,
            words,
            basis=item.basis,
        )

    def fail(self, item: Item, message: str) -> Outcome | None:
        """Gives up a recording; None when it was given up before."""
        with self._lock:
            self._open.pop(item.id, None)
            if item.id in self._failed:
                return None
            self._failed.add(item.id)
        if self._folder is not None:
            _unfinished(part_path(self._folder, item.id)).unlink(missing_ok=True)
        return Outcome.failure(item, message)

    def _store(self, item: Item, window: Window, matrix: np.ndarray) -> None:
        """Writes a window's rows at their place in a Kaldi matrix."""
        part = _unfinished(part_path(self._folder or Path(), item.id))
        part.parent.mkdir(parents=True, exist_ok=True)
        width = matrix.shape[1]
        head = b"\0BFM " + struct.pack("<bibi", 4, window.total, 4, width)
        with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            file.write(head)
            file.seek(window.first * width * 4, os.SEEK_CUR)
            file.write(np.ascontiguousarray(matrix, "<f4").tobytes())
