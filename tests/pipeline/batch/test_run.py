"""Runs with made-up work: whatever happens, every item is accounted for once."""

import contextlib
import dataclasses
import json
import re
import signal
import subprocess
import sys

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigError, DataError
from features.parts import Part
from pipeline.batch.assembly import Assembly, part_path, sweep_parts
from pipeline.batch.items import Item
from pipeline.batch.journal import FolderLock, Outcome, parts_folder
from pipeline.batch.meter import Heard
from pipeline.batch.outputs import Outputs
from pipeline.batch.phones import FOUND
from pipeline.batch.run import Order, Run
from pipeline.batch.windows import Window
from pipeline.datadir.textgrid import read_textgrid
from pipeline.datadir.times import read_ctm
from pipeline.decoding.outputs import Clock


class Killed(BaseException):
    """Stands for a death in the middle of the work."""


def make_items(folder, count=6):
    items = []
    for number in range(count):
        path = folder / f"{number}.wav"
        path.write_text("x" * (number + 1))
        items.append(Item(f"u{number}", str(path)))
    return items


def outcome(item: Item) -> Outcome:
    if item.id == "u3":
        return Outcome.failure(item, f"{item.source}: silent; record it again")
    number = int(item.id[1:])
    phones = [("a", 0.0, 0.1 * (number + 1), 0.5), ("b", 0.1 * (number + 1), 2.0, 1.0)]
    made = Outcome(item.id, item.source, item.state(), 2.0, phones)
    return dataclasses.replace(made, basis=item.basis)


def working(asked: list, *, deaths: int | None = None, backwards: bool = False):
    """Work that notes what it is asked for, and dies after so many outcomes."""

    def work(items):
        items = list(items)
        asked.extend(item.id for item in items)
        for count, item in enumerate(reversed(items) if backwards else items):
            if count == deaths:
                raise Killed
            yield outcome(item)

    return work


def make_run(folder, items, *, settings=None, formats=("text", "ctm", "jsonl"), **more):
    layout = more.pop("layout", "stream")
    order = Order("test", folder, Outputs(folder, formats, layout), **more)
    return Run(order, items, settings or {"model": "m"})


def files_of(folder) -> dict[str, bytes]:
    """All outputs but the summary, which tells times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".work" not in path.parts and path.name != "summary.json"
    }


def statuses(folder) -> dict[str, str]:
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return {r["id"]: r["status"] for r in map(json.loads, lines)}


def test_everything_is_accounted_for(tmp_path, capsys):
    items = make_items(tmp_path)
    totals = make_run(tmp_path / "out", items)(working([]))
    assert (totals.found, totals.done, totals.failed, totals.pending) == (6, 5, 1, 0)
    said = capsys.readouterr().err.splitlines()[-1]
    assert "5 done + 1 failed = 6 found; 0:00:10 of audio, 10 phones" in said
    (failed,) = (tmp_path / "out" / "failed.jsonl").read_text().splitlines()
    assert json.loads(failed) == {
        "id": "u3",
        "source": str(tmp_path / "3.wav"),
        "reason": f"{tmp_path}/3.wav: silent",
        "mend": "record it again",
    }
    assert statuses(tmp_path / "out") == {
        f"u{n}": "failed" if n == 3 else "done" for n in range(6)
    }
    assert len(read_ctm(tmp_path / "out" / "ctm")) == 5
    assert (tmp_path / "out" / "hyp").read_text().splitlines()[0] == "u0 a b"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["found"], summary["audio_seconds"]) == (6, 10.0)


@pytest.mark.parametrize("change", ["another model", "another recording", "nothing"])
def test_rates_of_older_results_do_not_stay(tmp_path, change):
    items, out = make_items(tmp_path), tmp_path / "out"
    make_run(out, items)(working([]))
    for name in ("scoring", "scored"):
        (out / name).mkdir()
        (out / name / "per").write_text("of older results")
    (out / "unscored").write_text("u1\n")
    if change == "another recording":
        (tmp_path / "2.wav").write_text("another")
    model = {"model": "n" if change == "another model" else "m"}
    with contextlib.suppress(Killed):  # before it is done
        make_run(out, items, settings=model)(working([], deaths=1))
    names = ("scoring", "scored", "unscored")
    assert [(out / name).exists() for name in names] == [change == "nothing"] * 3


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 40))))
def test_any_deaths_in_any_order_give_the_same_outputs(tmp_path_factory, deaths):
    folder = tmp_path_factory.mktemp("run")
    items = make_items(folder)
    make_run(folder / "clean", items)(working([]))
    finished: list[str] = []
    for number, backwards, torn in deaths:
        asked: list[str] = []
        try:
            make_run(folder / "out", items)(
                working(asked, deaths=number, backwards=backwards)
            )
        except Killed:
            # Death also cuts the line that was being written.
            with open(folder / "out" / ".work" / "journal.jsonl", "ab") as file:
                file.write(b'{"id": "u1", "reason": "........................'[:torn])
        assert not set(asked) & set(finished)
        finished = [u for u, s in statuses(folder / "out").items() if s != "pending"]
    make_run(folder / "out", items)(working([]))
    assert files_of(folder / "out") == files_of(folder / "clean")


def test_a_part_told_of_after_the_end_does_not_count(tmp_path):
    (item,) = make_items(tmp_path, 1)

    def work(items):
        yield Heard(item.id, 0.5, 1.0)
        yield outcome(item)
        yield Heard(item.id, 0.5, 1e12)

    totals = make_run(tmp_path / "out", [item])(work)
    assert (totals.done, totals.audio_seconds) == (1, 2.0)
    assert totals.times_real_time <= 2.0 / 1e-3  # of a run that took no time


def test_changed_files_and_settings_are_done_again(tmp_path):
    items = make_items(tmp_path)
    make_run(tmp_path / "out", items)(working([]))
    asked: list[str] = []
    make_run(tmp_path / "out", items)(working(asked))
    assert asked == []
    (tmp_path / "2.wav").write_text("something else")
    (tmp_path / "3.wav").chmod(0o600)
    make_run(tmp_path / "out", items)(working(asked))
    assert asked == ["u2", "u3"]
    asked.clear()
    make_run(tmp_path / "out", items, retry_failed=True)(working(asked))
    assert asked == ["u3"]
    asked.clear()
    make_run(tmp_path / "out", items, settings={"model": "n"})(working(asked))
    assert asked == [f"u{n}" for n in range(6)]


@pytest.mark.parametrize(
    "change",
    [
        {"part": Part(0.5, 2.0)},
        {"part": Part(end=1.0)},
        {"part": Part(end=2.0, channel=0)},
        {"text": ("other", "words")},
        {"text": None},
        {"stats": "of others"},
        {"fault": "not in segments"},
    ],
)
def test_items_of_which_tables_say_something_else_are_done_again(tmp_path, change):
    first = [
        dataclasses.replace(
            item, part=Part(end=2.0), text=("some", "words"), stats="one"
        )
        for item in make_items(tmp_path)
    ]
    make_run(tmp_path / "out", first)(working([]))
    asked: list[str] = []
    make_run(tmp_path / "out", first)(working(asked))
    assert asked == []
    # u3 failed before: what is mended in a table is tried again too
    second = [
        dataclasses.replace(item, **change) if item.id in ("u2", "u3") else item
        for item in first
    ]
    make_run(tmp_path / "out", second)(working(asked))
    assert asked == ["u2", "u3"]


def test_of_a_journal_that_kept_no_basis_whole_files_hold(tmp_path):
    items = make_items(tmp_path)
    items[1] = dataclasses.replace(items[1], part=Part(0.5))
    make_run(tmp_path / "out", items)(working([]))
    journal = tmp_path / "out/.work/journal.jsonl"
    text = re.sub(r', "basis": "\w*"', "", journal.read_text())
    journal.write_text(text)
    asked: list[str] = []
    make_run(tmp_path / "out", items)(working(asked))
    assert asked == ["u1"]


def test_other_settings_cost_nothing_until_there_is_a_result_of_them(tmp_path, capsys):
    items, out = make_items(tmp_path), tmp_path / "out"
    both = {"formats": ("text", "textgrid"), "layout": "files"}
    make_run(out, items)(working([]))
    make_run(out, items, **both)(working([]))
    before = files_of(out)
    with pytest.raises(Killed):
        make_run(out, items, settings={"model": "n"})(working([], deaths=0))
    said = capsys.readouterr().err
    assert (
        "holds results of other settings (model); all is done anew, and they stay"
        in said
    )
    assert files_of(out) == before
    asked: list[str] = []
    make_run(out, items)(working(asked))
    assert asked == []
    with pytest.raises(Killed):
        other = make_run(out, items, settings={"model": "n"}, formats=("text",))
        other(working([], deaths=1))
    assert list(files_of(out)) == ["manifest.jsonl"]


def test_what_is_not_asked_for_again_is_counted(tmp_path, capsys):
    items = make_items(tmp_path)
    make_run(tmp_path / "out", items[:2])(working([]))
    make_run(tmp_path / "out", items[1:3])(working([]))
    assert "1 recording that earlier runs did into" in capsys.readouterr().err


def test_a_damaged_journal_is_told(tmp_path):
    items, journal = make_items(tmp_path), tmp_path / "out/.work/journal.jsonl"
    make_run(tmp_path / "out", items)(working([]))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], bytes(20) + b"\n", *lines[3:]]))
    with pytest.raises(DataError, match="journal.jsonl:3: damaged; remove the file"):
        make_run(tmp_path / "out", items)(working([]))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: [1, 2],
        lambda record: {**record, "phones": [3]},
        lambda record: {**record, "phones": 3},
        lambda record: {**record, "seconds": "long"},
        lambda record: {**record, "state": 3},
        lambda record: {**record, "colour": "red"},
    ],
)
def test_a_journal_with_other_values_is_told(tmp_path, change):
    items, journal = make_items(tmp_path), tmp_path / "out/.work/journal.jsonl"
    make_run(tmp_path / "out", items)(working([]))
    lines = journal.read_text().splitlines()
    lines[2] = json.dumps(change(json.loads(lines[2])))
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="journal.jsonl: damaged; remove the file"):
        make_run(tmp_path / "out", items)(working([]))


@pytest.mark.parametrize("name", ["x" * 255, "é" * 120, "%20" * 90 + "/" + "y" * 255])
def test_names_of_any_length_get_files(tmp_path, name):
    item = Item(name, str(tmp_path))
    form = ("text", "textgrid", "ctm", "jsonl")
    outputs = Outputs(tmp_path / "out", form, "files")
    outputs.take(Outcome(name, item.source, phones=[("a", 0.0, 1.0, 0.5)], seconds=1.0))
    outputs.take(Outcome(f"{name}z", item.source, seconds=1.0))
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 2 * len(form)
    outputs.forget([name, f"{name}z"])
    assert not any(path.is_file() for path in (tmp_path / "out").rglob("*"))


def test_too_many_failures_stop_the_run(tmp_path, capsys):
    items = make_items(tmp_path)
    totals = make_run(tmp_path / "out", items, max_failures=0)(working([]))
    assert (totals.done, totals.failed, totals.pending) == (3, 1, 2)
    assert "more than --max-failures 0 failed" in capsys.readouterr().err


def test_a_file_for_each_recording(tmp_path):
    items = make_items(tmp_path)
    formats = ("text", "textgrid")
    make_run(tmp_path / "out", items, formats=formats, layout="files")(working([]))
    names = sorted(p.name for p in (tmp_path / "out" / "textgrid").iterdir())
    assert names == [f"u{n}.TextGrid" for n in (0, 1, 2, 4, 5)]
    marks = read_textgrid(tmp_path / "out" / "textgrid" / "u1.TextGrid", tier="phones")
    assert [(m.phone, m.end) for m in marks] == [("a", 0.2), ("b", 2.0)]
    assert (tmp_path / "out" / "text" / "u1.txt").read_text() == "u1 a b\n"
    # Other forms are made of what is known.
    asked: list[str] = []
    make_run(tmp_path / "out", items, formats=("ctm",), layout="files")(working(asked))
    assert asked == [] and (tmp_path / "out" / "ctm" / "u1.ctm").exists()


def test_forms_of_an_earlier_run_grow_with_the_corpus(tmp_path):
    items, out = make_items(tmp_path), tmp_path / "out"
    make_run(out, items[:2])(working([]))
    make_run(out, items, formats=("ctm",))(working([]))
    make_run(tmp_path / "whole", items)(working([]))
    assert files_of(out) == files_of(tmp_path / "whole")


EACH = {"formats": ("text", "textgrid"), "layout": "files"}


def own_files(out) -> list[str]:
    """Files of one recording each."""
    return sorted(name for name in files_of(out) if "/" in name)


def test_no_file_of_an_older_result_stays(tmp_path):
    items, out = make_items(tmp_path), tmp_path / "out"
    make_run(out, items, **EACH)(working([]))
    for number in (1, 2, 4):
        (tmp_path / f"{number}.wav").write_text("something else")

    def work(pending):
        for item in pending:
            if item.id == "u1":
                yield Outcome.failure(item, "silent; record it again")
            else:
                yield dataclasses.replace(outcome(item), phones=[("new", 0, 2, 1)])

    # Other forms, and u5 has left the corpus; u4 is not reached.
    make_run(out, items[:5], formats=("ctm",), max_failures=1)(work)
    assert own_files(out) == ["text/u0.txt", "textgrid/u0.TextGrid"]
    make_run(out, items[:5], formats=("ctm",))(work)
    assert own_files(out) == ["text/u0.txt", "textgrid/u0.TextGrid"]
    asked: list[str] = []
    make_run(out, items, **EACH)(working(asked))
    assert asked == []
    assert own_files(out) == [
        f"{form}/u{number}.{suffix}"
        for form, suffix in (("text", "txt"), ("textgrid", "TextGrid"))
        for number in (0, 2, 4, 5)
    ]
    assert (out / "text" / "u2.txt").read_text() == "u2 new\n"
    assert (out / "text" / "u5.txt").read_text() == "u5 a b\n"


def test_other_settings_leave_no_file_of_recordings_not_asked_for(tmp_path):
    items, out = make_items(tmp_path), tmp_path / "out"
    make_run(out, items, **EACH)(working([]))
    make_run(out, items[:1], settings={"model": "n"}, **EACH)(working([]))
    assert own_files(out) == ["text/u0.txt", "textgrid/u0.TextGrid"]


def test_a_folder_named_as_a_file_gets_a_name_of_its_own(tmp_path):
    path = tmp_path / "x.wav"
    path.write_text("x")
    names = ("a", "a.txt/b", "a.txt/b.txt/c", "a%2Etxt/b", "a.TextGrid/b", "a.ctm/b")
    items = [Item(name, str(path)) for name in names]

    def work(pending):
        for item in pending:
            yield Outcome(item.id, item.source, item.state(), 2.0, [("a", 0, 2, 1)])

    out = tmp_path / "out"
    formats = ("text", "textgrid", "ctm")
    totals = make_run(out, items, formats=formats, layout="files")(work)
    assert totals.done == len(names)
    found = [path for path in (out / "text").rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in found) == sorted(
        f"{n} a\n" for n in names
    )
    assert (out / "text" / "a%2Etxt" / "b.txt").read_text() == "a.txt/b a\n"
    assert len(own_files(out)) == len(formats) * len(names)


@pytest.mark.parametrize(
    "before, after, match",
    [
        ("stream", "files", "ctm: expected a folder, is a file, of an earlier --lay"),
        ("files", "stream", "ctm: expected a file, is a folder, of an earlier --lay"),
    ],
)
def test_another_layout_in_the_way_is_told_first(tmp_path, before, after, match):
    items, out, asked = make_items(tmp_path), tmp_path / "out", []
    make_run(out, items[:2], formats=("ctm",), layout=before)(working([]))
    with pytest.raises(ConfigError, match=match):
        make_run(out, items, formats=("ctm",), layout=after)(working(asked))
    assert asked == []


LOCKED = """
import sys
from pathlib import Path
from features.errors import DataError
from pipeline.batch.journal import FolderLock
try:
    FolderLock(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""


def test_a_second_process_is_refused(tmp_path):
    def second() -> str:
        command = [sys.executable, "-c", LOCKED, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True).stdout

    with FolderLock(tmp_path):
        assert "is at work here; wait for it" in second()
    assert second() == ""


def test_an_outcome_of_another_source_does_not_hold(tmp_path):
    one, two = make_items(tmp_path, 2)
    made = outcome(one)
    assert made.still_holds(one)
    assert not made.still_holds(Item("u0", two.source))


def test_the_lock_error_names_the_folder(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(DataError, match=f"{tmp_path}: another process is at work"):
        FolderLock(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from features.temporaries import temporary_file
with temporary_file(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_unfinished_posteriors_of_dead_processes_are_swept(tmp_path):
    item = Item("x", str(tmp_path))
    part = part_path(tmp_path, item.id)
    part.parent.mkdir()
    other = part.with_name("y.mat")
    command = [sys.executable, "-c", KILLED, str(other)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    clock = Clock(0.01, 0.025, 1)
    assembly = Assembly(["a"], clock, tmp_path)
    matrix = np.arange(8, dtype=np.float32).reshape(4, 2)
    first, second = (Window(matrix, n, 2, 0, 4, 0.04) for n in (0, 2))
    phones = [np.array([(0, n, n + 2, 0.5)], FOUND) for n in (0, 2)]
    assert assembly.add(item, second, phones[1], matrix[2:]) is None
    assert len(list(part.parent.iterdir())) == 2
    sweep_parts(tmp_path)
    assert len(list(part.parent.iterdir())) == 1
    outcome = assembly.add(item, first, phones[0], matrix[:2])
    assert list(outcome.phones) == [("a", 0.0, 0.04, 0.5)]
    assert list(part.parent.iterdir()) == [part]
    np.testing.assert_array_equal(kaldiio.load_mat(str(part)), matrix)


@pytest.mark.parametrize("end", ["fail", "close"])
def test_nothing_stays_of_posteriors_that_are_given_up(tmp_path, end):
    item = Item("x", str(tmp_path))
    assembly = Assembly(["a"], Clock(0.01, 0.025, 1), tmp_path)
    matrix = np.zeros((2, 1), np.float32)
    window = Window(matrix, 0, 2, 0, 4, 0.04)
    assert assembly.add(item, window, np.zeros(0, FOUND), matrix) is None
    assert len(list(part_path(tmp_path, item.id).parent.iterdir())) == 1
    if end == "fail":
        assert assembly.fail(item, "broken; mend it").reason == "broken"
    assembly.close()
    assert list(part_path(tmp_path, item.id).parent.iterdir()) == []


def leaving(parts, value: float, *, deaths: int | None = None):
    """Work that leaves posteriors, all of them of one value, and dies after so many."""

    def work(items):
        for count, item in enumerate(items):
            path = part_path(parts, item.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            kaldiio.save_mat(str(path), np.full((2, 1), value, np.float32))
            if count == deaths:
                raise Killed
            yield outcome(item)

    return work


def test_a_run_with_other_settings_that_dies_leaves_posteriors_alone(tmp_path):
    items, out = make_items(tmp_path, 3), tmp_path / "out"

    def run(model: str, value: float, **more) -> None:
        settings = {"model": model}
        work = leaving(parts_folder(out, settings), value, **more)
        make_run(out, items, settings=settings, posteriors=True)(work)

    run("m", 1.0)
    with pytest.raises(Killed):
        run("n", 2.0, deaths=0)
    (out / "posteriors.ark").unlink()
    run("m", 3.0)  # has nothing to do
    found = kaldiio.load_scp(str(out / "posteriors.scp"))
    assert {key: float(found[key].max()) for key in found} == dict.fromkeys(
        ("u0", "u1", "u2"), 1.0
    )
    run("n", 2.0)
    assert not parts_folder(out, {"model": "m"}).exists()


def test_a_recording_whose_posteriors_are_gone_is_done_again(tmp_path):
    items, out, settings = make_items(tmp_path, 3), tmp_path / "out", {"model": "m"}
    parts, asked = parts_folder(out, settings), []
    make_run(out, items, posteriors=True)(leaving(parts, 1.0))
    part_path(parts, "u1").unlink()

    def work(items):
        asked.extend(item.id for item in items)
        yield from leaving(parts, 2.0)(items)

    make_run(out, items, posteriors=True)(work)
    assert asked == ["u1"]
