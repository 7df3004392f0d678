"""Threads that take turns: each reads, or runs a batch, whatever is to be done next."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from pipeline.batch.items import Item
from pipeline.batch.reading import Fault, Pool, Reading

R = TypeVar("R")


class Turns(Generic[R]):
    """Reads items into batches and works on them, in as many threads as there are processors.

    Threads that do nothing but read would take processors from those that work. Here each
    does one thing at a time, a batch wherever one is ready and else the next window, so that no
    processor has two threads to run, none waits, and no more is read than memory has room for.

    Args:
        items: what to read; taken as they are needed.
        read: makes the windows of an item.
        work: makes results of a batch.
        fail: makes results of what cannot be read.
        threads: how many; one is the caller's own.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        read: Callable[[Item], Iterator[Reading | Fault]],
        work: Callable[[Sequence[Reading]], list[R]],
        fail: Callable[[Fault], list[R]],
        threads: int,
    ) -> None:
        self._items = iter(items)
        self._read, self._work, self._fail = read, work, fail
        self._threads = threads
        self._changed = threading.Condition()
        self._begun: deque[Iterator[Reading | Fault]] = (
            deque()
        )  # items with windows to come
        self._ready: deque[list[Reading]] = deque()
        self._pool = Pool()
        self._reading = 0  # threads that read just now
        self._closed = False

    def _next(self) -> list[Reading] | Iterator[Reading | Fault] | None:
        """What a thread does next, a batch or a window of an item; None when all is done."""
        with self._changed:
            while not self._closed:
                if self._ready:
                    return self._ready.popleft()
                if not self._begun:
                    self._begun.extend(map(self._read, _first(self._items)))
                if self._begun:
                    self._reading += 1
                    return self._begun.popleft()
                if self._reading:
                    self._changed.wait()
                    continue
                self._ready.extend(self._pool.rest())
                if not self._ready:
                    return None
                self._changed.notify_all()
        return None

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
                    self._ready.extend(self._pool.add(found))
                self._changed.notify_all()
        return self._fail(found) if isinstance(found, Fault) else []

    def _results(self) -> Iterator[list[R]]:
        """What a thread's turns give."""
        while (turn := self._next()) is not None:
            yield self._work(turn) if isinstance(turn, list) else self._advance(turn)

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
        for thread in threads:
            thread.start()
        try:
            left = len(threads)
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
                thread.join()


def _first(items: Iterator[Item]) -> list[Item]:
    """The next item, if there is one."""
    item = next(items, None)
    return [] if item is None else [item]
