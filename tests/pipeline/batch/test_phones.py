"""Phones of recordings: joined at cuts, held in little memory, written as they were."""

import json
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.batch.journal
import pipeline.batch.phones
from pipeline.batch.assembly import Assembly
from pipeline.batch.items import Item
from pipeline.batch.journal import Journal
from pipeline.batch.outputs import Outputs
from pipeline.batch.phones import BLOCK, FOUND, Phones, join
from pipeline.batch.run import Order, Run
from pipeline.batch.windows import Window
from pipeline.decoding.outputs import Clock

FRAMES = 1000  # of a window
CLOCK = Clock(frame_shift=0.01, frame_length=0.025, skip=3)


def joined_by_hand(windows):
    """What `join` has to make, phone by phone."""
    joined = []
    for rows in windows:
        for number, (phone, start, end, sure) in enumerate(rows):
            old = joined[-1] if joined else None
            if number == 0 and old and old[0] == phone and old[2] == start:
                long, more = old[2] - old[1], end - start
                mean = (old[3] * long + sure * more) / (long + more)
                joined[-1] = (phone, old[1], end, mean)
            else:
                joined.append((phone, start, end, sure))
    return joined


@st.composite
def cut_phones(draw):
    """Phones of windows that follow each other; some windows have none, some just one."""
    windows, place = [], 0
    for _ in range(draw(st.integers(1, 6))):
        rows = []
        for _ in range(draw(st.integers(0, 3))):
            place += draw(st.integers(0, 1))  # CTC leaves gaps
            end = place + draw(st.integers(1, 4))
            rows.append((draw(st.integers(0, 1)), place, end, draw(st.floats(0, 1))))
            place = end
        windows.append(rows)
    return windows


@given(cut_phones())
def test_a_phone_that_cuts_went_through_is_one_again(windows):
    found = np.concatenate(list(join(np.array(rows, FOUND) for rows in windows)))
    assert found.tolist() == joined_by_hand(windows)


def test_phones_come_back_as_they_were():
    rows = [
        (f"p{n % 7}", n / 3, (n + 1) / 3, 1 / (n + 1)) for n in range(2 * BLOCK + 1)
    ]
    phones = Phones(iter(rows))
    assert len(phones) == len(rows)
    assert list(phones) == rows
    assert list(Phones([])) == []


def work(windows: int):
    """A recording of so many windows, 333 phones each."""

    def heard(items):
        (item,) = items
        assembly = Assembly([f"p{n}" for n in range(40)], CLOCK, None)
        starts = np.arange(0, FRAMES - 1, 3)
        nothing = np.zeros((0, 40), np.float32)
        for number in range(windows):
            first, total = number * FRAMES, windows * FRAMES
            phones = np.zeros(len(starts), FOUND)
            phones["phone"] = (starts + number) % 40
            phones["start"] = first + starts
            phones["end"] = first + np.append(starts[1:], FRAMES)
            phones["confidence"] = 1 / (phones["start"] + 1.0)
            window = Window(nothing, first, FRAMES, 0, total, total * 0.03)
            if outcome := assembly.add(item, window, phones, nothing):
                yield outcome

    return heard


def run(folder, windows: int, layout: str):
    """The run, and how many phones it found."""
    folder.mkdir(exist_ok=True)
    source = folder / "x.wav"
    source.touch()
    item = Item("x", str(source))
    formats = ("text", "ctm", "jsonl", "textgrid")
    order = Order("test", folder, Outputs(folder, formats, layout))
    made = Run(order, [item], {})
    return made, made(work(windows)).phones


def peak(folder, windows: int, layout: str):
    """Peak bytes of a run, and how many phones it found."""
    for module in (pipeline.batch.phones, pipeline.batch.journal):
        module.BLOCK = 256
    # What is loaded at first is not counted. Two processes, two folders.
    run(folder / f"first{windows}", 1, layout)
    tracemalloc.start()
    count = run(folder / f"{windows}", windows, layout)[1]
    return tracemalloc.get_traced_memory()[1], count


@pytest.mark.parametrize("layout", ["stream", "files"])
def test_hours_of_one_recording_take_few_bytes_a_phone(tmp_path, layout):
    # In processes of their own: here a table of other tests' names may double meanwhile.
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:
        short, long = workers.map(peak, [tmp_path] * 2, [5, 20], [layout] * 2)
    phones_more = long[1] - short[1]
    assert phones_more > 4_900
    # Numbers of 20 and then 28 bytes, both for a while; as objects they took 500.
    assert (long[0] - short[0]) / phones_more < 90


def test_a_death_amid_the_phones_of_an_outcome_leaves_those_before(tmp_path):
    made, count = run(tmp_path, 40, "stream")
    (outcome,) = made.outcomes()
    assert len(outcome.phones) == count > 3 * BLOCK
    path = tmp_path / ".work" / "journal.jsonl"
    whole = path.read_bytes()
    first, *lines = whole.splitlines(keepends=True)
    assert len(lines) == 4  # the last is the outcome's
    records = [json.loads(line) for line in lines]
    rows = [row for record in records[:3] for row in record] + records[3]["phones"]
    assert [tuple(row) for row in rows] == list(outcome.phones)
    for kept in (1, 2, 3):
        torn = whole + b"".join(lines[:kept]) + lines[kept][:9]
        path.write_bytes(torn)
        journal = Journal(tmp_path, {})
        assert journal.open()
        journal.close()
        assert path.read_bytes() == whole
        assert list(journal["x"].phones) == list(outcome.phones)
    path.write_bytes(first + b"".join(lines[:3]))
    journal = Journal(tmp_path, {})
    assert journal.open() and list(journal) == []
    journal.close()
    assert path.read_bytes() == first
