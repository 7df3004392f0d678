"""A run over a corpus: what is pending is done, whatever happens is written down."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import counted
from features.files import write_text
from pipeline.batch.assembly import part_path, sweep_parts
from pipeline.batch.items import Item
from pipeline.batch.journal import Journal, Outcome, parts_folder, write_manifest
from pipeline.batch.meter import Heard, Meter, clock_time
from pipeline.batch.outputs import Outputs, write_posteriors
from pipeline.stage import note

Work = Callable[[Iterable[Item]], Iterator[Outcome | Heard]]
_MANIFEST_S = 10.0  # between two manifests of a run, at least
_MANIFEST_SHARE = 20  # times what writing one takes, for that grows with the corpus


@dataclass(frozen=True)
class Order:
    """What is asked of a run.

    Attributes:
        stage: name, for messages.
        folder: where results go.
        outputs: which files are written.
        posteriors: whether log-posteriors are put together.
        max_failures: how many failed items the run bears; None bears any number.
        retry_failed: whether what failed before is tried again though nothing changed.
    """

    stage: str
    folder: Path
    outputs: Outputs
    posteriors: bool = False
    max_failures: int | None = None
    retry_failed: bool = False


@dataclass
class Totals:
    """What a run came to; written as `summary.json`."""

    found: int
    done: int = 0
    failed: int = 0
    pending: int = 0
    audio_seconds: float = 0.0
    phones: int = 0
    done_before: int = 0
    failed_before: int = 0
    elapsed_seconds: float = 0.0
    seconds_to_first_result: float = 0.0
    times_real_time: float = 0.0
    stopped: bool = False

    def line(self) -> str:
        """One sentence."""
        speed = (
            f"{self.times_real_time:.0f} times real time"
            if self.times_real_time
            else "nothing new"
        )
        more = f", {self.pending} pending" if self.pending else ""
        return (
            f"{self.done} done + {self.failed} failed{more} = {self.found} found; "
            f"{clock_time(self.audio_seconds)} of audio, {counted(self.phones, 'phone')}; "
            f"{self.elapsed_seconds:.1f} s, {speed}"
        )


def _pending(
    items: Sequence[Item], journal: Journal, parts: Path | None, *, retry_failed: bool
) -> list[Item]:
    """What is to do: what is not in the journal, or is no longer as it was then.

    Args:
        items: all there is.
        journal: what became of them.
        parts: where the posteriors of all that is done must be, or None.
        retry_failed: whether what failed is tried again.
    """

    def holds(item: Item, outcome: Outcome) -> bool:
        if not outcome.done:
            return outcome.still_holds(item) and not retry_failed
        there = parts is None or part_path(parts, item.id).exists()
        return outcome.still_holds(item) and there

    outcomes = journal.outcomes(list(items))
    outdated = {item.id for item, outcome in outcomes if not holds(item, outcome)}
    journal.forget(outdated)
    return [item for item in items if item.id not in journal]


class Run:
    """One run into an output folder, whose lock the caller holds.

    Args:
        order: what is asked.
        items: all there is, sorted by id.
        settings: everything that changes a result.
    """

    def __init__(
        self, order: Order, items: Sequence[Item], settings: dict[str, Any]
    ) -> None:
        self._order = order
        self._items = tuple(items)
        self._journal = Journal(order.folder, settings)
        self._parts = parts_folder(order.folder, settings)
        self._totals = Totals(found=len(items))

    def _forget_old(self) -> None:
        """Nothing of other settings stays behind once there is a result of these."""
        names = self._journal.older.union(item.id for item in self._items)
        self._order.outputs.forget(names)
        for name in ("summary.json", "posteriors.scp", "posteriors.ark"):
            (self._order.folder / name).unlink(missing_ok=True)
        for other in parts_folder(self._order.folder).glob("*"):
            if other != self._parts:
                shutil.rmtree(other, ignore_errors=True)

    def _open(self) -> None:
        """Opens the journal, and says what of an older one is not used."""
        order, journal = self._order, self._journal
        goes_on = journal.open()
        if journal.differing:
            note(
                f"{order.stage}: {order.folder} holds results of other settings "
                f"({', '.join(journal.differing)}); all is done anew, and they stay until "
                "the first new one"
            )
        elif not goes_on:
            shutil.rmtree(parts_folder(order.folder), ignore_errors=True)
        if others := self._others():
            note(
                f"{order.stage}: {counted(len(others), 'recording')} that earlier runs did into "
                f"{order.folder} not asked for now, and left out of its files; give all paths "
                "together, or another --out"
            )

    def _others(self) -> set[str]:
        """Ids of recordings that earlier runs did and this one is not asked for."""
        return set(self._journal).difference(item.id for item in self._items)

    def __call__(self, work: Work) -> Totals:
        """Does what is pending.

        Args:
            work: does items, in any order, and yields what became of each, and parts of
                long ones before.

        Returns:
            What it came to; it is written as `summary.json` as well.
        """
        order, journal = self._order, self._journal
        order.outputs.check()
        self._open()
        try:
            parts = self._parts if order.posteriors else None
            retry = order.retry_failed
            pending = _pending(self._items, journal, parts, retry_failed=retry)
            before = Counter(journal.status(item.id) for item in self._items)
            self._totals.done_before = before["done"]
            self._totals.failed_before = before["failed"]
            if journal.begun:
                write_manifest(order.folder, self._items, journal)
            if pending:
                self._work(pending, work)
        finally:
            journal.close()
            if journal.begun:
                write_manifest(order.folder, self._items, journal)
        self._finish()
        return self._totals

    def _failures(self) -> int:
        return sum(self._journal.status(item.id) == "failed" for item in self._items)

    def _work(self, pending: list[Item], work: Work) -> None:
        """Runs the work and writes down what comes of it, until it ends or fails too often."""
        order, journal, totals = self._order, self._journal, self._totals
        sizes = {item.id: item.size for item in pending}
        meter = Meter(order.stage, total=len(pending), size=sum(sizes.values()))
        failures, due = self._failures(), time.monotonic() + _MANIFEST_S
        if journal.begun:
            order.outputs.forget_scores()
            (order.folder / "summary.json").unlink(missing_ok=True)
        outcomes = work(pending)
        try:
            for outcome in outcomes:
                if isinstance(outcome, Heard):
                    # Another thread may have told of the end before.
                    if outcome.id in sizes:
                        meter.hear(outcome, size=sizes[outcome.id])
                    continue
                totals.seconds_to_first_result = (
                    totals.seconds_to_first_result or round(meter.elapsed, 3)
                )
                if not journal.begun:
                    self._forget_old()
                order.outputs.take(outcome)
                journal.add(outcome)
                failures += not outcome.done
                meter.add(
                    outcome.id,
                    size=sizes.pop(outcome.id, 0),
                    seconds=outcome.seconds,
                    failed=not outcome.done,
                )
                if order.max_failures is not None and failures > order.max_failures:
                    totals.stopped = True
                    break
                if (began := time.monotonic()) > due:
                    write_manifest(order.folder, self._items, journal)
                    took = time.monotonic() - began
                    due = began + max(_MANIFEST_S, _MANIFEST_SHARE * took)
        finally:
            meter.close()
            if hasattr(outcomes, "close"):
                outcomes.close()
        totals.elapsed_seconds = round(meter.elapsed, 3)
        totals.times_real_time = round(
            meter.audio_seconds / max(meter.elapsed, 1e-3), 2
        )

    def outcomes(self) -> Iterator[Outcome]:
        """All that is done or failed, sorted by id."""
        return (o for _, o in self._journal.outcomes(list(self._items)))

    def _counted(self, outcome: Outcome) -> Outcome:
        totals = self._totals
        totals.done += outcome.done
        totals.failed += not outcome.done
        totals.audio_seconds += outcome.seconds
        totals.phones += len(outcome.phones)
        return outcome

    def _finish(self) -> None:
        """Writes the outputs, unless they are there already, and the summary.

        Files of recordings that are pending, or not asked for now, go, as their lines do: the
        folder holds the results of what was asked for. The journal knows the others still.
        """
        order, totals, journal = self._order, self._totals, self._journal
        pending = (item.id for item in self._items if item.id not in journal)
        order.outputs.remove(self._others().union(pending))
        order.outputs.complete(map(self._counted, self.outcomes()))
        totals.audio_seconds = round(totals.audio_seconds, 4)
        totals.pending = totals.found - totals.done - totals.failed
        if order.posteriors:
            names = (o.id for o in self.outcomes() if o.done)
            write_posteriors(order.folder, self._parts, names)
            sweep_parts(self._parts)
        record = json.dumps(vars(totals), indent=1)
        write_text(order.folder / "summary.json", record + "\n")
        self._tell()

    def _tell(self) -> None:
        order, totals = self._order, self._totals
        if totals.failed:
            note(f"{order.stage}: reasons and mends: {order.folder / 'failed.jsonl'}")
        if totals.stopped:
            note(
                f"{order.stage}: stopped: more than --max-failures {order.max_failures} "
                "failed; mend them or allow more, and give the same command"
            )
        note(f"{order.stage}: {order.folder}: {totals.line()}")
