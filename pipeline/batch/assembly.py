"""Windows back to recordings: phones joined at cuts, posteriors row by row."""

import contextlib
import hashlib
import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.temporaries import recover_all, temporary_file
from pipeline.batch.items import Item
from pipeline.batch.journal import Outcome
from pipeline.batch.phones import Phones, Row, join
from pipeline.batch.windows import Window
from pipeline.batch.words import Word

if TYPE_CHECKING:
    from pipeline.decoding.outputs import Clock

Align = Callable[[Item, np.ndarray], Sequence[Word]]


def part_path(folder: Path, name: str) -> Path:
    """Where the posteriors of an item are until they are put together."""
    key = hashlib.sha256(name.encode()).hexdigest()
    return folder / key[:2] / f"{key}.mat"


def sweep_parts(folder: Path) -> None:
    """Removes the posteriors that dead processes left unfinished."""
    for place in folder.glob("*/"):
        recover_all(place)


class _Part:
    """The posteriors of a recording as a Kaldi matrix, whose rows come in any order.

    Args:
        path: where they are once all rows are there.
        rows, width: of the matrix.
    """

    def __init__(self, path: Path, rows: int, width: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._stack = contextlib.ExitStack()
        self._temporary = self._stack.enter_context(temporary_file(path))
        head = b"\0BFM " + struct.pack("<bibi", 4, rows, 4, width)
        self._temporary.write_bytes(head)
        self._first = len(head)

    def write(self, matrix: np.ndarray, *, first: int) -> None:
        """Writes rows [T, width] from `first` on."""
        with (
            contextlib.suppress(FileNotFoundError),  # another thread gave it up
            open(self._temporary, "r+b") as file,
        ):
            file.seek(self._first + first * matrix.shape[1] * 4)
            file.write(np.ascontiguousarray(matrix, "<f4").tobytes())

    def finish(self) -> None:
        """Gives the file its name."""
        os.replace(self._temporary, self._path)
        self._stack.close()

    def give_up(self) -> None:
        """Removes what is there."""
        self._temporary.unlink(missing_ok=True)
        self._stack.close()


@dataclass
class _Open:
    """A recording of which some windows are done."""

    state: tuple[int, int, int]
    frames: int
    windows: dict[int, np.ndarray]
    matrices: dict[int, np.ndarray]
    part: _Part | None


class Assembly:
    """Gathers the windows of recordings; used from several threads.

    Args:
        symbols: of the phones.
        clock: where frames lie in time.
        posteriors: folder for log-posteriors, or None.
        align: finds the words of an item in its log-posteriors; None where none are wanted.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        clock: "Clock",
        posteriors: Path | None,
        align: Align | None = None,
    ) -> None:
        self._symbols = symbols
        self._align = align
        self._clock = clock
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
        with self._lock:
            if item.id in self._failed:
                return None
            new = _Open(item.state_read, 0, {}, {}, None)
            held = self._open.setdefault(item.id, new)
            if self._folder is not None and held.part is None:
                path = part_path(self._folder, item.id)
                held.part = _Part(path, window.total, log_posteriors.shape[1])
        if held.part is not None:
            held.part.write(log_posteriors, first=window.first)
        with self._lock:
            if item.id in self._failed:
                return None
            held.windows[window.first] = phones
            held.frames += window.count
            if self._align is not None:
                held.matrices[window.first] = log_posteriors
            if held.frames < window.total:
                return None
        outcome = self._outcome(item, window, held)
        with self._lock:
            del self._open[item.id]
        if held.part is not None:
            held.part.finish()
        return outcome

    def _outcome(self, item: Item, window: Window, held: _Open) -> Outcome:
        """What came of a recording, all of whose windows are done."""
        total, seconds = window.total, window.seconds

        places = sorted(held.windows)

        def rows() -> Iterator[Row]:
            for part in join(held.windows.pop(place) for place in places):
                numbers, sure = part["phone"].tolist(), part["confidence"].tolist()
                spans = self._clock.times(part["start"], part["end"], total, seconds)
                for number, (start, end), share in zip(
                    numbers, spans, sure, strict=True
                ):
                    times = round(start, 4), round(end, 4)
                    yield self._symbols[number], *times, round(share, 3)

        phones = Phones(rows())
        words = None
        if self._align is not None:
            matrix = np.concatenate([held.matrices[place] for place in places])
            found = self._align(item, matrix)
            spans = self._clock.spans(found, total, seconds)
            words = [
                (word.word, round(start, 4), round(end, 4))
                for word, (start, end) in zip(found, spans, strict=True)
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

    def awaits(self, item: Item) -> bool:
        """Whether some windows of a recording are there, and others to come."""
        with self._lock:
            return item.id in self._open

    def fail(self, item: Item, message: str) -> Outcome | None:
        """Gives up a recording; None when it was given up before."""
        with self._lock:
            held = self._open.pop(item.id, None)
            if item.id in self._failed:
                return None
            self._failed.add(item.id)
        if held is not None and held.part is not None:
            held.part.give_up()
        return Outcome.failure(item, message)

    def close(self) -> None:
        """Gives up what is not complete: nobody goes on with it."""
        with self._lock:
            left = [held.part for held in self._open.values()]
            self._open.clear()
        for part in filter(None, left):
            part.give_up()
