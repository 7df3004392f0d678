"""Reading ahead of who uses what is read, and putting what is alike into batches."""

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.batch.items import Item
from pipeline.batch.windows import Window
from pipeline.nnet.recipe import ROWS

_POOLED = 8 * ROWS  # windows that are sorted by length among each other
_QUEUED_BYTES = 16 << 20  # network input read ahead
_LONG = (
    500  # frames: of longer windows half as many go together, for the memory they take
)


@dataclass
class Reading:
    """A window, or what became of its item in reading."""

    item: Item
    window: Window | None
    fault: str = ""


def _length(reading: Reading) -> int:
    return 0 if reading.window is None else len(reading.window.frames)


def _pooled(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    """Many readings at a time, but no more than memory has room for; few at first.

    The network has work as soon as one batch is read.
    """
    pool: list[Reading] = []
    size, most = 0, ROWS
    for reading in readings:
        pool.append(reading)
        size += 0 if reading.window is None else reading.window.frames.nbytes
        if len(pool) == most or size >= _QUEUED_BYTES:
            yield pool
            pool, size, most = [], 0, min(2 * most, _POOLED)
    if pool:
        yield pool


def groups(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    """Groups of at most `ROWS` windows of like length, from a stream of any lengths."""
    for pool in _pooled(readings):
        pool.sort(key=_length)
        for start in range(0, len(pool), ROWS):
            group = pool[start : start + ROWS]
            half = ROWS // 2 if _length(group[-1]) > _LONG else ROWS
            yield from filter(None, (group[:half], group[half:]))


class Ahead:
    """Reads items in threads, ahead of who uses them, in a bounded amount of memory.

    Args:
        items: what to read; taken as they are needed.
        read: makes the readings of an item.
        threads: how many items are read at once.
    """

    def __init__(self, items: Iterable[Item], read: Any, threads: int) -> None:
        self._items = iter(items)
        self._read = read
        self._taking = threading.Lock()
        self._room = threading.Condition()
        self._bytes = 0
        self._closed = False
        self._queue: queue.SimpleQueue[Reading | BaseException | None] = (
            queue.SimpleQueue()
        )
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(threads)
        ]

    def _work(self) -> None:
        try:
            while not self._closed:
                with self._taking:
                    item = next(self._items, None)
                if item is None:
                    break
                for reading in self._read(item):
                    self._put(reading)
        except BaseException as error:  # handed to the thread that uses the readings
            self._queue.put(error)
        self._queue.put(None)

    def _put(self, reading: Reading) -> None:
        size = 0 if reading.window is None else reading.window.frames.nbytes
        with self._room:
            self._room.wait_for(lambda: self._closed or self._bytes < _QUEUED_BYTES)
            self._bytes += size
        self._queue.put(reading)

    def __enter__(self) -> Iterator[Reading]:
        for thread in self._threads:
            thread.start()
        return self._readings()

    def _readings(self) -> Iterator[Reading]:
        left = len(self._threads)
        while left:
            reading = self._queue.get()
            if reading is None:
                left -= 1
            elif isinstance(reading, BaseException):
                raise reading
            else:
                if reading.window is not None:
                    with self._room:
                        self._bytes -= reading.window.frames.nbytes
                        self._room.notify_all()
                yield reading

    def __exit__(self, *_: object) -> None:
        with self._room:
            self._closed = True
            self._room.notify_all()
        for thread in self._threads:
            thread.join()
