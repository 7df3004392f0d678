"""A process that died alone: what it had begun is done by a worker, what kills is named."""

import os
import signal
import sys

import cloudpickle
import pytest

from pipeline.batch import execution
from pipeline.batch.begun import Begun
from pipeline.batch.crew import Crewing
from pipeline.batch.items import Item
from pipeline.batch.journal import WORK, Outcome
from pipeline.batch.plan import Plan

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def done(item: Item) -> Outcome:
    return Outcome(item.id, item.source, item.state(), 1.0)


def recognise(plan, items):
    """Work in a worker, which is given one item at a time; `bad` kills it."""
    (_,) = items
    if any(item.id == "bad" for item in items):
        os.kill(os.getpid(), signal.SIGKILL)
    return [done(item) for item in items]


class Alone:
    """Work in the run's own process."""

    asked: list[str] = []

    def __init__(self, plan):
        pass

    def run(self, items):
        for item in items:
            self.asked.append(item.id)
            yield done(item)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_kills_a_single_process_is_set_aside_by_the_next_run(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(execution, "recognise", recognise)
    monkeypatch.setattr(execution, "Recognition", Alone)
    monkeypatch.setattr(Alone, "asked", [])
    items = [Item(name, f"{name}.wav") for name in ("a", "bad", "c", "d")]
    (tmp_path / WORK).mkdir()
    # The run that died had begun three; the result of `gone` was written.
    (tmp_path / WORK / "begun").write_text("gone\na\nbad\n")
    work = execution.work_of(Plan("m", None, {}), Crewing(), tmp_path)
    outcomes = {}
    for outcome in work(items):
        outcomes[outcome.id] = outcome
        # Another death now would leave the same two, and what has been begun since.
        assert {"a", "bad"} <= Begun(tmp_path / WORK / "begun").left()
    assert list(outcomes)[:2] == ["c", "d"]
    assert sorted(outcomes) == ["a", "bad", "c", "d"]
    assert [name for name, outcome in outcomes.items() if not outcome.done] == ["bad"]
    assert "two workers died of it" in outcomes["bad"].reason
    assert Alone.asked == ["c", "d"]
    assert "died with 2 recordings begun" in capsys.readouterr().err
    assert not (tmp_path / WORK / "begun").exists()


def test_a_death_leaves_what_was_begun_and_an_end_does_not(tmp_path):
    items = [Item(name, f"{name}.wav") for name in ("a", "b", "c")]
    begun = Begun(tmp_path / "begun")
    taken = begun.noting(items)
    assert [next(taken).id, next(taken).id] == ["a", "b"]
    assert Begun(tmp_path / "begun").left() == {"a", "b"}
    begun.keep(items[:1])
    assert begun.left() == {"a"}
    assert next(begun.noting(items[2:])).id == "c"
    assert begun.left() == {"a", "c"}
    begun.keep([])
    assert begun.left() == set()
