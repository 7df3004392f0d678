"""Work shared by processes, here or on other machines, through dask.distributed."""

import contextlib
import itertools
import logging
import os
import queue
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from features.errors import ConfigError, DataError
from pipeline.batch.shares import (
    Died,
    Share,
    Work,
    after_death,
    attempt,
    read_mark,
    taken,
)
from pipeline.stage import note

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2  # shares under way for every thread of a worker: enough to keep it busy
_CONNECT_S = 30


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """An interrupt waits until the block ends; what is started in it never gets one.

    Ctrl-C reaches all processes of a terminal. Workers are to end when they are told, not each
    by itself and with a traceback; and one half started cannot be ended in order.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread only
        return
    resource_tracker.ensure_running()  # starting it later would undo the mask
    waiting: list[int] = []
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Threads that were there before, of libraries, may take the signal: it comes here then.
    handler = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if waiting:
        signal.raise_signal(signal.SIGINT)


class Crew:
    """Workers: processes of this machine, or those of a running dask scheduler.

    Args:
        nj: processes of this machine.
        scheduler: address of a scheduler, whose workers are used in their place.
        marks: folder for marks, seen by all workers; made, and removed in the end.

    Raises:
        ConfigError: dask is not installed.
        DataError: the scheduler does not answer.
    """

    def __init__(self, *, nj: int, scheduler: str | None, marks: Path) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError:
            raise ConfigError(
                "--nj and --scheduler need dask; pip install dask distributed"
            ) from None
        self._nj, self._scheduler, self._marks = nj, scheduler, marks
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()
        self._client: Client

    def _connect(self) -> "Client":
        from distributed import Client

        # A scheduler that goes is told of in one line, not in dask's traceback.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            client = Client(self._scheduler, timeout=_CONNECT_S)
        except (OSError, ValueError) as error:
            raise DataError(
                f"--scheduler {self._scheduler}: no answer ({error}); start it with dask "
                "scheduler, or give its address as tcp://HOST:8786"
            ) from None
        if not client.nthreads():
            note(f"waiting for the first worker of {self._scheduler}")
            client.wait_for_workers(1)
        return client

    def _start_local(self) -> "Client":
        import dask
        from distributed import Client, LocalCluster

        # A worker gets no more than it can begin, so that its death blames no other share.
        # What dask does besides took a tenth of a processor and more: profiles, ticks (fifty
        # a second in every process), looks for shares that another worker could take.
        self._stack.enter_context(
            dask.config.set(
                {
                    "distributed.scheduler.worker-saturation": 1.0,
                    "distributed.scheduler.allowed-failures": 0,
                    "distributed.scheduler.work-stealing": False,
                    "distributed.worker.profile.enabled": False,
                    "distributed.admin.tick.interval": "1s",
                    "distributed.admin.system-monitor.disk": False,
                }
            )
        )
        with _uninterrupted():
            cluster = LocalCluster(
                n_workers=self._nj,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",  # any: the usual one may be taken
                silence_logs=logging.CRITICAL,
                preload=["pipeline.startup"],
            )
            self._stack.enter_context(cluster)
        return Client(cluster)

    def __enter__(self) -> Self:
        with self._stack:  # what is there already goes when the rest cannot be had
            shutil.rmtree(self._marks, ignore_errors=True)
            self._marks.mkdir(parents=True)
            self._stack.callback(shutil.rmtree, self._marks, ignore_errors=True)
            client = self._connect() if self._scheduler else self._start_local()
            self._client = self._stack.enter_context(client)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def threads(self) -> int:
        """Threads of all workers that are there now, at least 1.

        Raises:
            DataError: the scheduler does not answer any more.
        """
        try:
            return max(1, sum(self._client.nthreads().values()))
        except OSError:
            raise self._gone() from None

    def _gone(self) -> DataError:
        return DataError(
            f"--scheduler {self._scheduler}: gone; start it again, and give the same command: "
            "what is done stays"
        )

    def run(
        self,
        work: Work[T, R],
        shares: Iterable[Sequence[T]],
        lost: Callable[[T], R],
    ) -> Iterator[Sequence[R]]:
        """Has shares of items done, and yields their results as they come, in any order.

        What `work` tells of meanwhile (`shares.tell`) comes as well, as a result of its own.

        When a worker dies its share is done again, one item at a time; an item that this
        too kills a worker at is given up.

        Args:
            work: does some items; it and they must survive pickling.
            shares: items to be done together; taken as workers get free.
            lost: makes the result of an item that is given up.
        """
        from distributed import Future

        waiting = (Share(items) for items in shares)
        again: deque[Share[T]] = deque()
        running: dict[Any, tuple[Share[T], Path]] = {}
        events: queue.SimpleQueue[Future | Sequence[R]] = queue.SimpleQueue()
        topic = f"keraldi-{os.getpid()}-{id(events)}"
        self._client.subscribe_topic(topic, lambda event: events.put([event[1]]))
        while True:
            room = self.threads * _AHEAD - len(running)
            for share in taken(max(0, room), again, waiting):
                mark = self._marks / f"{next(self._numbers)}"
                future = self._client.submit(
                    attempt,
                    work,
                    share.items,
                    str(mark),
                    share.one_by_one,
                    os.getcwd(),
                    topic,
                    key=f"{topic}-{mark.name}",
                    pure=False,
                )
                running[future.key] = share, mark
                future.add_done_callback(events.put)
            if not running:
                return
            while not isinstance(event := events.get(), Future):
                yield event
            share, mark = running.pop(event.key)
            result = self._result(event, mark)
            mark.unlink(missing_ok=True)
            if isinstance(result, Died):
                retries, given_up = after_death(share, result)
                again.extend(retries)
                result = [lost(item) for item in given_up]
            if result:
                yield result

    def _result(self, future: "Future", mark: Path) -> Any:
        """What a worker gave back, or its death."""
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise self._gone()
        try:
            error = future.exception()
            if error is None:
                return future.result()
        except OSError:  # of the way here; what the work raised is `error`
            raise self._gone() from None
        if not isinstance(error, KilledWorker):
            raise error
        return read_mark(mark) if mark.exists() else Died(-1)


@dataclass(frozen=True)
class Crewing:
    """Who does the work of a stage.

    Attributes:
        nj: processes of this machine.
        scheduler: address of a running dask scheduler, or None.

    Raises:
        ConfigError: `nj` is below 1.
    """

    nj: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.nj < 1:
            raise ConfigError(f"--nj: expected at least 1, got {self.nj}")

    @property
    def alone(self) -> bool:
        """Whether the stage does it all in its own process."""
        return self.nj == 1 and self.scheduler is None

    def crew(self, marks: Path) -> Crew:
        """The workers, with a folder for their marks."""
        return Crew(nj=self.nj, scheduler=self.scheduler, marks=marks)

    def in_order(
        self,
        work: Work[T, R],
        shares: Iterable[Sequence[T]],
        lost: Callable[[T], R],
        *,
        marks: Path,
    ) -> Iterator[R]:
        """Results in the order of the items, one for each; work is shared out as by `Crew.run`.

        Few shares are held: those that were done before one that is still under way.
        """
        if self.alone:
            for items in shares:
                yield from work(items)
            return
        numbered = _numbered(shares)
        held: dict[int, R] = {}
        following = 0
        with self.crew(marks) as crew:
            task = partial(_keep_numbers, work)
            for results in crew.run(task, numbered, lambda i: (i[0], lost(i[1]))):
                held.update(results)
                while following in held:
                    yield held.pop(following)
                    following += 1


def _numbered(shares: Iterable[Sequence[T]]) -> Iterator[list[tuple[int, T]]]:
    numbers = itertools.count()
    for items in shares:
        yield [(next(numbers), item) for item in items]


def _keep_numbers(
    work: Work[T, R], items: Sequence[tuple[int, T]]
) -> list[tuple[int, R]]:
    """Work on numbered items; its results, one an item in their order, keep the numbers."""
    results = work([item for _, item in items])
    return [(n, result) for (n, _), result in zip(items, results, strict=True)]
