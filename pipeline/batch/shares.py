"""Shares of work: cut, attempted, and marked, so that it is known what a worker died of."""

import contextvars
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from features.errors import DataError, counted
from pipeline.nnet.recipe import ROWS
from pipeline.stage import note

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Sequence[T]], Sequence[R]]

_MOST = 6 * ROWS  # items of a share
_ROUNDS = 4  # shares of a worker if all that is left were cut alike
_BYTES = 64 << 20  # of a share
_FALSE_STARTS = 10  # deaths of a share before it began, after which workers are no good
_topic: contextvars.ContextVar[str] = contextvars.ContextVar("topic")


@dataclass(frozen=True)
class Died:
    """A share whose worker died; `item` is the number of the one it was at, if known."""

    item: int | None


def tell(value: Any) -> None:
    """Sends what a worker has to say of the share that it is at to whoever waits for the share.

    Args:
        value: numbers, texts and sequences of them, which arrive as tuples.
    """
    from distributed import get_worker

    get_worker().log_event(_topic.get(), value)


def attempt(
    work: Work[T, R],
    items: Sequence[T],
    mark: str,
    one_by_one: bool,
    folder: str,
    topic: str,
) -> Sequence[R] | Died:
    """Does a share in a worker, and leaves a mark that outlives the worker's death.

    Dask gives a dead worker's tasks to another one. That one finds the mark, and says what
    happened in place of dying as well.

    Args:
        work: does items.
        items: the share.
        mark: path of the mark; on a disk that all machines see.
        one_by_one: whether the mark names each item in turn.
        folder: where the stage was started; names of files are relative to it.
        topic: what `tell` says is sent under.
    """
    os.chdir(folder)
    _topic.set(topic)
    path = Path(mark)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return read_mark(path)
    results: list[R] = []
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        if not one_by_one:
            results.extend(work(items))
        else:
            for number, item in enumerate(items):
                file.seek(0)
                file.write(f"{number}\n")
                file.flush()
                results.extend(work([item]))
    path.unlink(missing_ok=True)
    return results


def read_mark(path: Path) -> Died:
    text = path.read_text(encoding="ascii").strip()
    return Died(int(text) if text else None)


@dataclass(frozen=True)
class Share(Generic[T]):
    """Items that go to a worker together."""

    items: Sequence[T]
    one_by_one: bool = False
    false_starts: int = 0


def taken(
    count: int, again: "deque[Share[T]]", waiting: Iterator[Share[T]]
) -> list[Share[T]]:
    """Up to `count` shares: those to be done again first, then new ones."""
    taken = [again.popleft() for _ in range(min(count, len(again)))]
    return taken + list(itertools.islice(waiting, max(0, count - len(taken))))


def after_death(share: Share[T], died: Died) -> tuple[list[Share[T]], Sequence[T]]:
    """What of a share is done again, and which items are given up."""
    if died.item == -1:
        if share.false_starts == _FALSE_STARTS:
            raise DataError(
                f"workers died {_FALSE_STARTS} times before they began; look at their logs"
            )
        return [Share(share.items, share.one_by_one, share.false_starts + 1)], []
    if not share.one_by_one or died.item is None:
        note(
            f"a worker died; {counted(len(share.items), 'item')} to be done again, one by one"
        )
        return [Share(share.items, one_by_one=True)], []
    number = died.item
    parts = [
        Share(share.items[:number]),
        Share(share.items[number + 1 :]),  # of these a first death gives none up
    ]
    return [part for part in parts if part.items], [share.items[number]]


def cut_shares(
    items: Sequence[T], sizes: Sequence[int], *, workers: int
) -> Iterator[Sequence[T]]:
    """Cuts items into shares: large ones for speed, small ones in the end for equal work.

    A share holds whole batches of the network, for a batch that is not full takes as long as
    one that is; and a part of what is left, so that all workers end at about the same time.

    Args:
        items: what is to do.
        sizes: bytes of each.
        workers: how many share the work.
    """
    first = 0
    while first < len(items):
        batches = -(-(len(items) - first) // (_ROUNDS * workers * ROWS))
        most = min(_MOST, batches * ROWS)
        totals = itertools.accumulate(sizes[first : first + most])
        fits = sum(
            1 for _ in itertools.takewhile(lambda total: total <= _BYTES, totals)
        )
        last = first + max(1, fits)
        yield items[first:last]
        first = last
