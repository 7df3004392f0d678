"""Stage transcribe: audio of any kind and amount, and a model -> phones with times."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from features.errors import ConfigError
from pipeline.batch.crew import Crewing, cut_shares
from pipeline.batch.discovery import discover
from pipeline.batch.items import Item
from pipeline.batch.journal import WORK, FolderLock, Outcome
from pipeline.batch.outputs import Format, Layout, Outputs
from pipeline.batch.recognition import Plan, Recognition, lost, recognise
from pipeline.batch.run import Order, Run, Totals, Work
from pipeline.config import load
from pipeline.decoding.settings import DecodeSettings
from pipeline.stage import fingerprint, note, require


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def result_settings(plan: Plan) -> dict[str, Any]:
    """Everything that changes a result, and that results are kept by."""
    files = {"model": Path(plan.model) / "final.keras"}
    if plan.arpa is not None:
        files["arpa"] = Path(plan.arpa)
    return {
        **{name: fingerprint(path) for name, path in files.items()},
        "settings": plan.settings,
        "posteriors": plan.posteriors is not None,
        "allow_pipes": plan.allow_pipes,
    }


def make_plan(
    model: str,
    out: str,
    *,
    arpa: str | None,
    settings: str | None,
    posteriors: bool,
    allow_pipes: bool,
    threads: int,
) -> Plan:
    """Checks what was asked for before any work begins.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the model or the n-gram is not there.
    """
    require(Path(model) / "final.keras", mend="run keraldi train, or give its folder")
    if arpa is not None:
        require(arpa, mend="run keraldi lm")
    if threads < 1:
        raise ConfigError(f"--threads: expected at least 1, got {threads}")
    chosen = load(settings, DecodeSettings) if settings else DecodeSettings()
    parts = str(Path(out) / ".work" / "posteriors") if posteriors else None
    return Plan(model, arpa, asdict(chosen), parts, allow_pipes, threads)


def work_of(plan: Plan, crewing: Crewing, folder: Path) -> Work:
    """The work of a plan as a run wants it: in this process, or by a crew."""
    if crewing.alone:
        return lambda items: Recognition(plan).run(items)

    def shared(items: Iterable[Item]) -> Iterator[Outcome]:
        pending = list(items)
        sizes = [item.state()[0] for item in pending]
        with crewing.crew(folder / WORK / "marks") as crew:
            shares = cut_shares(pending, sizes, workers=crew.threads)
            for outcomes in crew.run(partial(recognise, plan), shares, lost):
                yield from outcomes

    return shared


def run_plan(
    order: Order, items: Sequence[Item], plan: Plan, crewing: Crewing
) -> Totals:
    """Runs a plan over items into the order's folder; its lock is held."""
    run = Run(order, items, result_settings(plan))
    return run(work_of(plan, crewing, order.folder))


def transcribe(
    *paths: str,
    model: str,
    out: str,
    arpa: str | None = None,
    settings: str | None = None,
    formats: tuple[Format, ...] = ("text", "ctm", "jsonl"),
    layout: Layout = "stream",
    posteriors: bool = False,
    nj: int = 1,
    scheduler: str | None = None,
    threads: int = 0,
    allow_pipes: bool = False,
    max_failures: int | None = None,
    retry_failed: bool = False,
) -> int:
    """Transcribes audio into phones with times and confidences.

    Bad audio stops nothing: it is listed in `failed.jsonl`, and the exit status is 1. The
    same command after an interruption does what is left.

    Args:
        paths: audio files, folders, data dirs, wav.scp files, lists or globs of paths, `-`
            for a list on standard input.
        model: model dir with `final.keras`.
        out: folder for the results.
        arpa: phone n-gram; phones are equally likely when not given.
        settings: `settings.yaml` as decode writes it; all 1 when not given.
        formats: text (Kaldi's, `hyp`), ctm, jsonl, textgrid.
        layout: one file for all recordings, or a file for each.
        posteriors: write log-posteriors too, as `posteriors.ark`.
        nj: processes of this machine.
        scheduler: address of a running dask scheduler, whose workers do the work; they must
            see the same files under the same names.
        threads: batches under way at once in a process; 0 shares out this machine's
            processors, and means 1 with a scheduler.
        allow_pipes: whether commands in wav.scp may be run.
        max_failures: stop when more recordings than that have failed.
        retry_failed: try again what failed before, though its file is as it was.

    Returns:
        0 when every recording is done, 1 when some failed.
    """
    crewing = Crewing(nj, scheduler)
    plan = make_plan(
        model,
        out,
        arpa=arpa,
        settings=settings,
        posteriors=posteriors,
        allow_pipes=allow_pipes,
        threads=threads or (1 if scheduler else max(1, _cpus() // nj)),
    )
    found = discover(paths)
    folder = Path(out)
    order = Order(
        "transcribe",
        folder,
        Outputs(folder, formats, layout),
        posteriors=posteriors,
        max_failures=max_failures,
        retry_failed=retry_failed,
    )
    if found.passed_over:
        note(
            f"transcribe: {found.passed_over} files passed over: no audio by their names"
        )
    if found.repeated:
        note(f"transcribe: {found.repeated} files found twice are done once")
    with FolderLock(folder):
        totals = run_plan(order, found.items, plan, crewing)
    return 1 if totals.failed or totals.pending else 0
