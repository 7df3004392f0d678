"""Shared work: workers that die are replaced, what kills them is given up and named."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import cloudpickle
import pytest
from distributed import LocalCluster

from features.errors import ConfigError, DataError
from pipeline.batch.crew import Crew, Crewing
from pipeline.batch.network import content_of
from pipeline.batch.plan import Plan
from pipeline.batch.recognition import recognise
from pipeline.batch.shares import Died, Share, after_death, attempt, cut_shares, tell
from pipeline.datadir.datadir import DataDir
from pipeline.nnet.recipe import ROWS

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def square(items):
    """Work that kills its worker at item 17."""
    for item in items:
        if item == 17:
            os.kill(os.getpid(), signal.SIGKILL)
    return [item * item for item in items]


def given_up(item):
    return f"gave up {item}"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_deaths_cost_only_what_causes_them(tmp_path, capsys):
    marks = tmp_path / "marks"
    shares = [list(range(start, start + 8)) for start in range(0, 48, 8)]
    with Crew(nj=2, scheduler=None, marks=marks) as crew:
        assert crew.threads == 2
        found = [r for results in crew.run(square, shares, given_up) for r in results]
    expected = [n * n for n in range(48) if n != 17] + ["gave up 17"]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert "a worker died; 8 items to be done again" in capsys.readouterr().err
    assert not marks.exists()


def halving(items):
    """Work that tells of its first half."""
    tell(["half", items[0]])
    time.sleep(0.2)  # what is told goes another way than what is returned
    return [["whole", items[0]]]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_workers_tell_comes_before_their_results(tmp_path):
    with Crew(nj=2, scheduler=None, marks=tmp_path / "marks") as crew:
        results = crew.run(halving, [[1], [2]], given_up)
        told = [tuple(result) for part in results for result in part]
    assert sorted(told) == [("half", 1), ("half", 2), ("whole", 1), ("whole", 2)]
    for number in (1, 2):
        assert told.index(("half", number)) < told.index(("whole", number))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("nj", [1, 2])
def test_results_come_in_the_order_of_the_items(tmp_path, nj):
    shares = [[3, 1], [40], [5, 6, 7]]
    crewing = Crewing(nj)
    found = crewing.in_order(square, shares, given_up, marks=tmp_path / "marks")
    assert list(found) == [9, 1, 1600, 25, 36, 49]


def test_a_share_that_was_begun_before_is_not_begun_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "0"
    assert attempt(square, [1, 2], str(mark), False, str(tmp_path), "") == [1, 4]
    assert not mark.exists()

    def dies(items):
        if items == [2]:
            raise KeyboardInterrupt  # stands for a death: nothing cleans up after it
        return items

    with pytest.raises(KeyboardInterrupt):
        attempt(dies, [1, 2, 3], str(mark), True, str(tmp_path), "")
    assert mark.exists()
    assert attempt(dies, [1, 2, 3], str(mark), True, str(tmp_path), "").item == 1


@pytest.mark.parametrize(("workers", "first"), [(1, 192), (2, 128), (20, 32)])
def test_shares_are_whole_batches_and_grow_smaller(workers, first):
    items = list(range(1000))
    shares = list(cut_shares(items, [1] * 1000, workers=workers))
    assert [item for share in shares for item in share] == items
    lengths = [len(share) for share in shares]
    assert lengths[0] == first
    assert sorted(lengths, reverse=True) == lengths
    assert {length % ROWS for length in lengths[:-1]} == {0}
    assert lengths[-1] == 1000 % ROWS


def test_a_file_of_hours_is_a_share_of_its_own():
    shares = list(cut_shares("abc", [10, 1 << 30, 10], workers=1))
    assert shares == ["a", "b", "c"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_of_a_running_scheduler_do_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a worker goes where the stage was started
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with LocalCluster(**options, protocol="tcp", dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://")
        crewing = Crewing(scheduler=address)
        assert not crewing.alone
        with crewing.crew(tmp_path / "marks") as crew:
            assert crew.threads == 2
            found = crew.run(square, [[1, 2], [3], [40]], given_up)
            assert sorted(found) == [[1, 4], [9], [1600]]
        assert cluster.scheduler.workers  # they are not ours to stop


def test_no_workers_are_an_error():
    with pytest.raises(ConfigError, match="--nj: expected at least 1, got 0"):
        Crewing(nj=0)


def refused():
    raise OSError("Connection reset by peer")


@pytest.mark.parametrize(
    "future",
    [
        SimpleNamespace(status="cancelled"),
        SimpleNamespace(status="lost"),
        SimpleNamespace(status="finished", exception=refused),
        SimpleNamespace(status="finished", exception=lambda: None, result=refused),
    ],
)
def test_a_scheduler_that_goes_is_told_of(tmp_path, future):
    crew = Crew(nj=1, scheduler="tcp://x:1", marks=tmp_path / "marks")
    with pytest.raises(DataError, match="--scheduler tcp://x:1: gone; start it again"):
        crew._result(future, tmp_path / "mark")


def test_a_scheduler_that_goes_before_its_workers_are_counted_is_told_of(tmp_path):
    crew = Crew(nj=1, scheduler="tcp://x:1", marks=tmp_path / "marks")
    crew._client = SimpleNamespace(nthreads=refused)
    with pytest.raises(DataError, match="--scheduler tcp://x:1: gone; start it again"):
        assert crew.threads


def test_a_silent_scheduler_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.batch.crew._CONNECT_S", 0.2)
    crew = Crew(nj=1, scheduler="tcp://127.0.0.1:9", marks=tmp_path / "marks")
    with pytest.raises(DataError, match="--scheduler tcp://127.0.0.1:9: no answer"):
        with crew:
            time.sleep(0)


INTERRUPTED = """
import signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from pipeline.batch.crew import Crewing
from pipeline.stage import guarded

def work(items):
    print("at work", flush=True)
    time.sleep(0.2)
    return items

def stage():
    shares = ([number] for number in range(1000))
    import distributed
    print("about to start", flush=True)
    list(Crewing(2).in_order(work, shares, int, marks=Path(sys.argv[1])))

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it behind an &
    sys.exit(guarded("stage", stage))
"""


COMMANDED = INTERRUPTED.replace(
    "    time.sleep(0.2)\n",
    """    from features.commands import run_pipe
    with run_pipe(f"sleep 1000 & echo $! > {items[0]}.pid; wait"):
        pass
""",
)


def test_an_interrupt_ends_the_commands_of_workers(tmp_path, gone):
    program = tmp_path / "program.py"
    program.write_text(COMMANDED)
    children = [tmp_path / f"{number}.pid" for number in range(2)]
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "marks")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        while not all(path.exists() and path.read_text() for path in children):
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert said == ("keraldi stage: interrupted; the same command goes on from here\n")
    told = [path.read_text() for path in tmp_path.glob("*.pid")]
    deadline = time.monotonic() + 5
    while not all(gone(int(number)) for number in told if number):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("when", ["about to start", "at work"])
def test_an_interrupt_reaches_workers_through_their_stage_only(tmp_path, when):
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "marks")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        while when not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.5)  # amid it
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert said == ("keraldi stage: interrupted; the same command goes on from here\n")
    assert process.returncode == 130
    assert not (tmp_path / "marks").exists()


def test_what_did_not_die_yet_is_not_set_aside_at_a_first_death():
    alone = Share(list("abcdef"), one_by_one=True)
    shares, given_up = after_death(alone, Died(2))
    assert (shares, given_up) == ([Share(["a", "b"]), Share(["d", "e", "f"])], ["c"])
    (again,), given_up = after_death(shares[1], Died(None))
    assert (again, given_up) == (Share(["d", "e", "f"], one_by_one=True), [])


def test_a_worker_does_not_take_another_model_for_the_one_it_is_told_of(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(b"one")
    plan = Plan(str(model), None, {})
    told = replace(plan, content=plan.fingerprints())
    model.write_bytes(b"two")
    with pytest.raises(DataError, match="changed while they were in use"):
        recognise(told, [])
    model.unlink()
    with pytest.raises(DataError, match="model.tflite: a worker cannot read it"):
        recognise(told, [])


def test_a_model_or_data_dir_that_is_made_again_is_another(tmp_path):
    (tmp_path / "final.keras").write_bytes(b"one")
    data = DataDir(tmp_path, {}, {"u": "s"}, feats={"u": "feats.ark:1"})
    seen = {content_of(str(tmp_path), data)}
    seen.add(content_of(str(tmp_path), replace(data, feats={"u": "feats.ark:2"})))
    (tmp_path / "final.keras").write_bytes(b"two")
    seen.add(content_of(str(tmp_path), data))
    assert len(seen) == 3
