"""Turns of threads: everything read is worked on once, little is read ahead, errors come out."""

import threading

import numpy as np
import pytest

from features.commands import run_pipe
from features.errors import AudioError
from pipeline.batch.items import Item
from pipeline.batch.reading import Fault, Reading, groups
from pipeline.batch.turns import Turns
from pipeline.batch.windows import Window
from pipeline.nnet.recipe import ROWS


def window(length: int, width: int = 3) -> Window:
    return Window(np.zeros((length, width), np.float32), 0, length, 0, length, 1.0)


def read(item: Item):
    """Item n has n % 3 windows; every seventh then breaks off."""
    number = int(item.id)
    for part in range(number % 3):
        yield Reading(item, window(10 * number + part + 1))
    if number % 7 == 0:
        yield Fault(item, "broken")


def name(reading: Reading) -> str:
    return f"{reading.item.id} {len(reading.window.frames)}"


def make(items, *, threads, read=read, work=lambda batch: list(map(name, batch))):
    fail = lambda fault: [f"{fault.item.id} {fault.message}"]  # noqa: E731
    return Turns(items, read=read, work=work, fail=fail, threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_window_and_fault_comes_once(threads):
    items = [Item(str(number), "") for number in range(300)]
    expected = [
        name(found) if isinstance(found, Reading) else f"{found.item.id} broken"
        for item in items
        for found in read(item)
    ]
    assert sorted(make(items, threads=threads)) == sorted(expected)


def test_nothing_to_do_gives_nothing():
    assert not list(make([], threads=2))


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_is_read_than_memory_has_room_for(threads):
    """What waits at any time: a pool of 16 MiB, and a batch or window in each thread's hands."""
    size, lock = 1 << 20, threading.Lock()
    waiting, most = 0, 0

    def counted(item):
        nonlocal waiting, most
        for _ in range(200):
            with lock:
                waiting, most = waiting + size, max(most, waiting + size)
            yield Reading(item, window(size // 400, 100))

    def work(batch):
        nonlocal waiting
        with lock:
            waiting -= len(batch) * size
        return [len(batch)]

    found = list(make([Item("long", "")], threads=threads, read=counted, work=work))
    assert sum(found) == 200
    assert most <= (17 + threads * (ROWS // 2 + 1)) * size


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_work_is_prepared_once_while_others_read(threads):
    events, enough = [], threading.Event()

    def counted(item):
        events.append("read")
        if len(events) > 40:
            enough.set()
        yield Reading(item, window(5))

    def prepare():
        events.append("prepare")
        # alone it cannot wait for others
        assert threads == 1 or enough.wait(10)
        events.append("prepared")

    def work(batch):
        events.append("work")
        return list(map(name, batch))

    items = [Item(str(number), "") for number in range(300)]
    turns = Turns(
        items, read=counted, work=work, fail=list, threads=threads, prepare=prepare
    )
    assert len(list(turns)) == 300
    assert events.count("prepare") == 1
    assert events[0] == "read"
    assert events.index("prepared") < events.index("work")


def test_nothing_is_prepared_for_what_cannot_be_read():
    def broken(item):
        yield Fault(item, "broken")

    def prepare():
        raise AssertionError

    turns = Turns(
        [Item("1", "")],
        read=broken,
        work=list,
        fail=lambda fault: [fault.message],
        threads=2,
        prepare=prepare,
    )
    assert list(turns) == ["broken"]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_preparing_raises_is_raised(threads):
    def prepare():
        raise MemoryError("graph")

    items = [Item(str(number), "") for number in range(1, 200)]
    turns = Turns(
        items, read=read, work=list, fail=list, threads=threads, prepare=prepare
    )
    with pytest.raises(MemoryError, match="graph"):
        list(turns)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_thread_raises_is_raised(threads):
    def work(batch):
        raise MemoryError(f"{len(batch)} rows")

    with pytest.raises(MemoryError, match=f"{ROWS} rows"):
        list(
            make([Item(str(n), "") for n in range(1, 200)], threads=threads, work=work)
        )


def test_whoever_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    results = iter(make([Item(str(n), "") for n in range(500)], threads=3))
    next(results)
    results.close()
    assert threading.active_count() == before


def test_batches_are_of_like_length_and_long_ones_are_half():
    lengths = [3, 900, 40, 7] * 64
    found = list(groups(Reading(Item("", ""), window(n)) for n in lengths))
    rows = [[len(r.window.frames) for r in batch] for batch in found]
    assert sorted(n for batch in rows for n in batch) == sorted(lengths)
    assert all(len(batch) <= (ROWS // 2 if batch[-1] > 500 else ROWS) for batch in rows)
    assert all(batch == sorted(batch) for batch in rows)


def test_a_silent_command_does_not_keep_an_interrupted_run(monkeypatch):
    monkeypatch.setattr("features.commands.MOST_SILENT_S", 5.0)
    said = []

    def waits(item):
        if item.id == "0":
            try:
                with run_pipe("sleep 1000"):
                    pass
            except AudioError as error:
                said.append(str(error))
        yield Fault(item, "broken")

    turns = iter(make([Item("0", ""), Item("1", "")], threads=2, read=waits))
    assert next(turns) == "1 broken"
    turns.close()
    assert said == ["command 'sleep 1000': exit status -9: no message; mend it"]
