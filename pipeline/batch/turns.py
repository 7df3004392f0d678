"""Threads that take turns: each reads, or runs a batch, whatever is to be done next."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from features.commands import end_commands
from pipeline.batch.items import Item
from pipeline.batch.reading import POOLED_BYTES, Fault, Pool, Reading

R = TypeVar("R")

_STOCK = (
    2  # batches for every thread that shall be ready, so that one can read meanwhile
)

_ROOMS = 2  # times what is read ahead otherwise, while work is prepared
_PATIENCE_S = 0.2  # between two looks whether a thread has ended


def _size(batch: Iterable[Reading]) -> int:
    """Bytes of a batch."""
    return sum(reading.window.frames.nbytes for reading in batch)


class Turns(Generic[R]):
    """Reads items into batches and works on them, in as many threads as there are processors.

    Threads that do nothing but read would take processors from those that work. Here each
    does one thing at a time, so that no processor has two threads to run. While some batches are
    ready all but one work on them, and that one reads when they become few: two that read hinder
    each other more (Python runs one at a time) than one that reads and one that works. No more is
    read than memory has room for. What work needs before it begins is prepared once there is
    something to work on, by one thread while another reads.

    Args:
        items: what to read; taken as they are needed.
        read: makes the windows of an item.
        work: makes results of a batch.
        fail: makes results of what cannot be read.
        threads: how many; one is the caller's own.
        prepare: to be done once, before any work.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        read: Callable[[Item], Iterator[Reading | Fault]],
        work: Callable[[Sequence[Reading]], list[R]],
        fail: Callable[[Fault], list[R]],
        threads: int,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._items = iter(items)
        self._read, self._work, self._fail = read, work, fail
        self._threads = threads
        self._changed = threading.Condition()
        self._begun: deque[Iterator[Reading | Fault]] = deque()  # with windows to come
        self._ready: deque[list[Reading]] = deque()
        self._bytes = 0  # that those take
        self._pool = Pool()
        self._reading = 0  # threads that read just now
        self._prepare = prepare  # None once a thread does it
        self._preparing = False
        self._heard = False  # whether there is anything to work on
        self._closed = False

    def _next(self) -> Callable[[], list[R]] | None:
        """What a thread does next, work or a window of an item; None when all is done."""
        with self._changed:
            while not self._closed:
                if self._heard and self._prepare is not None:
                    prepare, self._prepare = self._prepare, None
                    self._preparing = True
                    return partial(self._prepared, prepare)
                if not self._enough() and (item := self._item()) is not None:
                    self._reading += 1
                    return partial(self._advance, item)
                if self._ready and not self._preparing:
                    batch = self._ready.popleft()
                    self._bytes -= _size(batch)
                    return partial(self._work, batch)
                if self._reading or self._preparing:
                    self._changed.wait()
                    continue
                self._stock(self._pool.rest())
                if not self._ready:
                    return None
                self._changed.notify_all()
        return None

    def _enough(self) -> bool:
        """Whether a thread that looks for work shall rather work than read."""
        if not self._ready:
            return False
        stocked = len(self._ready) >= _STOCK * self._threads and not self._preparing
        room = _ROOMS if self._preparing else 1  # who cannot work yet may read more
        heavy = self._bytes >= room * POOLED_BYTES
        return stocked or self._reading > 0 or self._threads == 1 or heavy

    def _stock(self, batches: Iterable[list[Reading]]) -> None:
        """Puts batches with those that are ready."""
        for batch in batches:
            self._ready.append(batch)
            self._bytes += _size(batch)

    def _item(self) -> Iterator[Reading | Fault] | None:
        """An item that has windows to come, if there is one."""
        if self._begun:
            return self._begun.popleft()
        item = next(self._items, None)
        return None if item is None else self._read(item)

    def _advance(self, item: Iterator[Reading | Fault]) -> list[R]:
        """Reads the next window of an item; the results, when it cannot be read."""
        found = None
        try:
            found = next(item, None)
        finally:
            with self._changed:
                self._reading -= 1
                if found is not None:
                    self._begun.append(item)
                if isinstance(found, Reading):
                    self._heard = True
                    self._stock(self._pool.add(found))
                self._changed.notify_all()
        return self._fail(found) if isinstance(found, Fault) else []

    def _prepared(self, prepare: Callable[[], None]) -> list[R]:
        """Prepares work; there are no results yet."""
        try:
            prepare()
        finally:
            with self._changed:
                self._preparing = False
                self._changed.notify_all()
        return []

    def _results(self) -> Iterator[list[R]]:
        """What a thread's turns give."""
        while (turn := self._next()) is not None:
            yield turn()

    def _run(self, found: "queue.SimpleQueue[list[R] | BaseException | None]") -> None:
        try:
            for results in self._results():
                if results:
                    found.put(results)
        except BaseException as error:  # handed to the thread that takes the results
            found.put(error)
        found.put(None)

    def __iter__(self) -> Iterator[R]:
        """The results, in any order; what a thread raises is raised here."""
        if self._threads == 1:
            for results in self._results():
                yield from results
            return
        found: queue.SimpleQueue[list[R] | BaseException | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._run, args=(found,), daemon=True)
            for _ in range(self._threads)
        ]
        left = len(threads)
        for thread in threads:
            thread.start()
        try:
            while left:
                taken = found.get()
                if taken is None:
                    left -= 1
                elif isinstance(taken, BaseException):
                    raise taken
                else:
                    yield from taken
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            for thread in threads:
                while left and thread.is_alive():
                    end_commands()  # a thread that waits for one would not end
                    thread.join(_PATIENCE_S)
                thread.join()
