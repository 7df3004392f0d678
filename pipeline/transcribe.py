"""Stage transcribe: audio of any kind and amount, and a model -> phones with times."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from features.errors import ConfigError
from features.normalize import CmvnStats
from pipeline.batch.begun import Begun
from pipeline.batch.crew import Crewing, cut_shares
from pipeline.batch.discovery import discover
from pipeline.batch.exported import is_exported
from pipeline.batch.items import Item
from pipeline.batch.journal import WORK, FolderLock, Outcome
from pipeline.batch.outputs import Format, Layout, Outputs
from pipeline.batch.recognition import Plan, Recognition, lost, recognise
from pipeline.batch.run import Order, Run, Totals, Work
from pipeline.config import check, load, save
from pipeline.decoding.settings import DecodeSettings
from pipeline.nnet.artefact import (
    GRAMMAR,
    SETTINGS,
    parse_description,
    read_companions,
    read_stats,
)
from pipeline.nnet.recipe import Recipe, stored_network
from pipeline.stage import fingerprint, note, require


def processors(crewing: Crewing) -> int:
    """Processors for each process: all of this machine's shared out, one of another's."""
    if crewing.scheduler is not None:
        return 1
    return max(1, len(os.sched_getaffinity(0)) // crewing.nj)


def model_file(model: str) -> Path:
    """The file that a model is in: an exported one, or that of a model dir."""
    return Path(model) if is_exported(model) else Path(model) / "final.keras"


def model_recipe(model: str) -> Recipe:
    """What a model knows, read without TensorFlow."""
    path = model_file(model)
    if is_exported(model):
        return parse_description(read_companions(path), model).recipe
    return stored_network(path)[0]


def result_settings(plan: Plan) -> dict[str, Any]:
    """Everything that changes a result, and that results are kept by."""
    files = {"model": model_file(plan.model)}
    if plan.arpa is not None:
        files["arpa"] = Path(plan.arpa)
    if plan.words is not None:
        names = ("phones.txt", "lexicon.txt", "silence.txt")
        paths = (Path(plan.words) / name for name in names)
        files |= {path.name: path for path in paths if path.exists()}
    return {
        **{name: fingerprint(path) for name, path in files.items()},
        "settings": plan.settings,
        "posteriors": plan.posteriors is not None,
        "allow_pipes": plan.allow_pipes,
        "cmvn": plan.cmvn,
    }


def used_settings(plan: Plan, source: str) -> DecodeSettings:
    """The search's settings with where they are used, for a reader of the results."""
    recipe = model_recipe(plan.model)
    ctc = recipe.objective == "ctc"
    settings = check(plan.settings, DecodeSettings, source="settings")
    arpa = plan.arpa if plan.grammar is None else f"{plan.model}:{GRAMMAR}"
    return replace(
        settings,
        search=settings.search_of(ctc=ctc),
        grammar=None if settings.greedy else arpa,
        decoded=source,
    )


def parse_settings(text: str, source: str) -> DecodeSettings:
    """The settings that an exported model carries."""
    return check(yaml.safe_load(text), DecodeSettings, source=source)


def given_stats(model: str, cmvn: str | None) -> list[list[float]] | None:
    """The statistics of a `cmvn.scp` added up, for a model that wants any.

    Raises:
        ConfigError: the model was trained without CMVN.
    """
    if cmvn is None:
        return None
    if is_exported(model):
        raise ConfigError(
            f"--cmvn: that of {model} was fixed when it was exported; leave it out, or export "
            "again with --cmvn"
        )
    if model_recipe(model).frontend.cmvn == "none":
        raise ConfigError(f"--cmvn: {model} was trained without CMVN; leave it out")
    return read_stats(cmvn)


def make_plan(
    model: str,
    out: str,
    *,
    arpa: str | None,
    settings: str | None,
    posteriors: bool,
    words: str | None = None,
    cmvn: str | None = None,
    allow_pipes: bool,
    threads: int,
) -> Plan:
    """Checks what was asked for before any work begins.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the model or the n-gram is not there.
    """
    require(model_file(model), mend="run keraldi train, or give its folder")
    if arpa is not None:
        require(arpa, mend="run keraldi lm")
    if words is not None:
        require(words, mend="give a lang dir with lexicon.txt")
    if threads < 1:
        raise ConfigError(f"--threads: expected at least 1, got {threads}")
    carried = read_companions(Path(model)) if is_exported(model) else {}
    if settings is None and SETTINGS in carried:
        chosen = parse_settings(carried[SETTINGS], f"{model}:{SETTINGS}")
    else:
        chosen = load(settings, DecodeSettings) if settings else DecodeSettings()
    parts = str(Path(out) / WORK / "posteriors") if posteriors else None
    return Plan(
        model,
        arpa,
        asdict(chosen),
        parts,
        words,
        given_stats(model, cmvn),
        allow_pipes,
        threads,
        carried.get(GRAMMAR) if arpa is None else None,
    )


def work_of(plan: Plan, crewing: Crewing, folder: Path) -> Work:
    """The work of a plan as a run wants it: in this process, or by a crew."""

    def shared(items: Iterable[Item]) -> Iterator[Outcome]:
        pending = list(items)
        sizes = [item.state()[0] for item in pending]
        with crewing.crew(folder / WORK / "marks") as crew:
            shares = cut_shares(pending, sizes, workers=crew.threads)
            for outcomes in crew.run(partial(recognise, plan), shares, lost):
                yield from outcomes

    def alone(items: Iterable[Item]) -> Iterator[Outcome]:
        begun = Begun(folder / WORK / "begun")
        left, pending = begun.left(), list(items)
        suspects = [item for item in pending if item.id in left]
        if suspects:
            note(
                f"an earlier run died with {len(suspects)} recordings begun; they are done first, "
                "by a process of their own"
            )
            yield from shared(suspects)
        others = (item for item in pending if item.id not in left)
        try:
            yield from Recognition(plan).run(begun.noting(others))
        finally:
            begun.clear()

    return alone if crewing.alone else shared


def find_items(stage: str, paths: Sequence[str]) -> tuple[Item, ...]:
    """All that paths lead to, sorted by id; says what was passed over."""
    found = discover(paths)
    if found.passed_over:
        note(f"{stage}: {found.passed_over} files passed over: no audio by name")
    if found.repeated:
        note(f"{stage}: {found.repeated} files found twice are done once")
    return found.items


def run_plan(
    order: Order, items: Sequence[Item], plan: Plan, crewing: Crewing, *, source: str
) -> Totals:
    """Runs a plan over items, into the order's folder, with its lock.

    Args:
        order: what is asked.
        items: all there is.
        plan: what makes results.
        crewing: who does the work.
        source: what the items are, for the record of settings.
    """
    with FolderLock(order.folder):
        save(order.folder / "settings.yaml", used_settings(plan, source))
        run = Run(order, items, result_settings(plan))
        return run(work_of(plan, crewing, order.folder))


def _check_streaming(model: str, rate: int | None, others: Mapping[str, object]) -> int:
    """What a stream cannot do is refused before TensorFlow is loaded; the rate of its samples.

    Raises:
        ConfigError: the model hears the future, or an option is missing or too many.
    """
    given = [name for name, value in others.items() if value]
    if given:
        raise ConfigError(
            f"--stream reads standard input and writes standard output; leave out "
            f"{', '.join(given)}"
        )
    if rate is None or rate < 1:
        raise ConfigError(
            f"--stream: raw samples do not say their rate; expected --rate in Hz, got {rate}"
        )
    if is_exported(model):
        raise ConfigError(
            f"--stream: {model} is heard whole; give the model dir that it was made of"
        )
    require(Path(model) / "final.keras", mend="run keraldi train, or give its folder")
    _, layers = stored_network(Path(model) / "final.keras")
    if any(layer["bidirectional"] != "none" for layer in layers):
        raise ConfigError(
            f"--stream: {model} is bidirectional: it hears an utterance from its end too, and "
            "cannot speak before; train a unidirectional one (label_delay lets it hear some of "
            "the future), or give it files"
        )
    return rate


def _stream(
    model: str, rate_hz: int, arpa: str | None, settings: str | None, cmvn: str | None
) -> int:
    """Prints the phones of standard input as they become certain."""
    from pipeline.streaming import follow, load_stream

    if arpa is not None:
        require(arpa, mend="run keraldi lm")
    chosen = load(settings, DecodeSettings) if settings else DecodeSettings()
    stats = given_stats(model, cmvn)
    stream = load_stream(
        model,
        arpa=arpa,
        settings=chosen,
        rate_hz=rate_hz,
        stats=None if stats is None else CmvnStats(np.array(stats)),
    )
    note(
        f"transcribe: 16-bit samples at {rate_hz} Hz from standard input; a sound is known "
        f"{stream.latency} after it began, its phone when all paths of the search agree on it "
        "and the next"
    )

    def write(lines: str) -> None:
        sys.stdout.write(lines)
        sys.stdout.flush()

    count = follow(stream, sys.stdin.fileno(), write)
    if stream.pending:
        note("transcribe: the last byte is half of a sample, and was left out")
    note(f"transcribe: {count} phones in {stream.seconds:.2f} s of sound")
    return 0


def transcribe(
    *paths: str,
    model: str,
    out: str | None = None,
    stream: bool = False,
    rate: int | None = None,
    arpa: str | None = None,
    settings: str | None = None,
    formats: tuple[Format, ...] = ("text", "ctm", "jsonl"),
    layout: Layout = "stream",
    posteriors: bool = False,
    words: str | None = None,
    cmvn: str | None = None,
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
        model: model dir with `final.keras`; or a `.tflite` file of `keraldi export`, which is run
            without TensorFlow and carries its own n-gram and settings.
        out: folder for the results; needed without --stream.
        stream: read raw audio, 16-bit little-endian mono, from standard input, and print start,
            end, phone and confidence as soon as they are certain. For unidirectional models.
        rate: of that audio, in Hz.
        arpa: phone n-gram; phones are equally likely when not given.
        settings: `settings.yaml` as decode writes it; all 1 when not given.
        formats: text (Kaldi's, `hyp`), ctm, jsonl, textgrid.
        layout: one file for all recordings, or a file for each.
        posteriors: write log-posteriors too, as `posteriors.ark`.
        words: lang dir with a lexicon: the words of transcripts are aligned, `words.ctm`.
        cmvn: `cmvn.scp` whose statistics are used for all audio, in place of those of speakers
            or recordings.
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
    if stream:
        others = {
            "paths": paths,
            "--out": out,
            "--words": words,
            "--posteriors": posteriors,
            "--nj": nj != 1,
            "--scheduler": scheduler,
        }
        return _stream(
            model, _check_streaming(model, rate, others), arpa, settings, cmvn
        )
    if out is None or rate is not None:
        raise ConfigError(
            "--out: expected a folder for the results, got none"
            if out is None
            else "--rate is for --stream: files say theirs; leave it out"
        )
    crewing = Crewing(nj, scheduler)
    plan = make_plan(
        model,
        out,
        arpa=arpa,
        settings=settings,
        posteriors=posteriors,
        words=words,
        cmvn=cmvn,
        allow_pipes=allow_pipes,
        threads=threads or processors(crewing),
    )
    folder = Path(out)
    order = Order(
        "transcribe",
        folder,
        Outputs(folder, formats, layout, words=words is not None),
        posteriors=posteriors,
        max_failures=max_failures,
        retry_failed=retry_failed,
    )
    items = find_items("transcribe", paths)
    totals = run_plan(order, items, plan, crewing, source=" ".join(paths))
    return 1 if totals.failed or totals.pending else 0
