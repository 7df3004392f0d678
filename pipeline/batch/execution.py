"""A plan over recordings: found, done here or by a crew, written down."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from features.errors import counted
from features.files import check_apart, placed
from pipeline.batch.begun import Begun
from pipeline.batch.candidates import is_data_dir
from pipeline.batch.crew import Crew, Crewing
from pipeline.batch.discovery import discover
from pipeline.batch.items import Item
from pipeline.batch.journal import WORK, FolderLock, Outcome, parts_folder
from pipeline.batch.meter import Heard
from pipeline.batch.options import model_recipe
from pipeline.batch.plan import Plan
from pipeline.batch.recognition import Recognition, lost, recognise
from pipeline.batch.relevance import relevant
from pipeline.batch.run import Order, Run, Totals, Work
from pipeline.batch.shares import cut_shares
from pipeline.config import check, save
from pipeline.decoding.settings import DecodeSettings
from pipeline.nnet.artefact import GRAMMAR
from pipeline.nnet.recipe import Recipe, check_stats
from pipeline.stage import note


def result_settings(plan: Plan) -> dict[str, Any]:
    """Everything that changes a result, and that results are kept by."""
    return {
        **(plan.content or plan.fingerprints()),
        "settings": check(plan.settings, DecodeSettings, source="settings").weights,
        "posteriors": plan.posteriors is not None,
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
        posteriors=plan.model,
        grammar=None if settings.greedy else arpa,
        decoded=source,
    )


def longest_first(items: Iterable[Item]) -> list[Item]:
    """Items by length, as far as it can be told without opening files.

    What is alike in length comes together, so that batches waste little on padding, and no
    worker begins a long recording when the others have nothing left.
    """
    return sorted(items, key=lambda item: item.size, reverse=True)


def work_of(plan: Plan, crewing: Crewing, folder: Path) -> Work:
    """The work of a plan as a run wants it: in this process, or by a crew."""

    def crewed(
        shares: Callable[[Crew], Iterable[Sequence[Item]]],
    ) -> Iterator[Outcome | Heard]:
        with crewing.crew(folder / WORK / "marks") as crew:
            for results in crew.run(partial(recognise, plan), shares(crew), lost):
                for found in results:
                    yield found if isinstance(found, Outcome) else Heard(*found)

    def shared(items: Iterable[Item]) -> Iterator[Outcome | Heard]:
        pending = longest_first(items)
        sizes = [item.size for item in pending]
        yield from crewed(lambda c: cut_shares(pending, sizes, workers=c.threads))

    def alone(items: Iterable[Item]) -> Iterator[Outcome | Heard]:
        begun = Begun(folder / WORK / "begun")
        left, pending = begun.left(), longest_first(items)
        suspects = [item for item in pending if item.id in left]
        others = [item for item in pending if item.id not in left]
        begun.keep(suspects)
        if others:  # first: a run that is killed time and again gets on
            try:
                yield from Recognition(plan).run(begun.noting(others))
            finally:
                begun.keep(suspects)
        if suspects:
            note(
                f"an earlier run died with {counted(len(suspects), 'recording')} begun; done "
                "now, by a process of their own"
            )
            # One by one, so that each is written down as soon as it is done.
            yield from crewed(lambda _: ([item] for item in suspects))
            begun.keep([])

    return alone if crewing.alone else shared


def find_items(stage: str, paths: Sequence[str], *, out: str) -> tuple[Item, ...]:
    """All that paths lead to, sorted by id; says what was passed over.

    Raises:
        ConfigError: `out`, where the results go, is a data dir among them.
    """
    for path in filter(is_data_dir, paths):
        check_apart(out, {"recordings": path})
    found = discover(paths)
    if found.passed_over:
        files = counted(found.passed_over.total(), "file")
        kinds = (f"{n} {suffix}" for suffix, n in found.passed_over.most_common(5))
        note(f"{stage}: {files} passed over: no audio by name ({', '.join(kinds)})")
    if found.data_dirs:
        dirs = counted(found.data_dirs, "data dir")
        note(
            f"{stage}: {dirs} among folders of audio; given by name, its tables are used"
        )
    if found.repeated:
        note(f"{stage}: {counted(found.repeated, 'file')} found twice, done once")
    return found.items


def _check_speakers(
    stage: str, items: Iterable[Item], model: str, recipe: Recipe
) -> None:
    """Checks the statistics of speakers, and says of whom there are none."""
    known = [item for item in items if item.speaker is not None]
    for cmvn in sorted({item.cmvn for item in known if item.cmvn is not None}):
        check_stats(cmvn, recipe, model=model)
    if alone := sum(item.cmvn is None for item in known):
        note(
            f"{stage}: no cmvn.scp with the speakers of {counted(alone, 'recording')}: each is "
            "normalised by itself; keraldi extract makes it"
        )


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
    with placed(order.folder), FolderLock(order.folder):
        used = used_settings(plan, source)
        recipe = model_recipe(plan.model)
        by_speaker = plan.by_speaker(recipe.frontend)
        chosen = relevant(
            items,
            text=plan.words is not None,
            speaker=by_speaker,
            pipes=plan.allow_pipes,
        )
        if by_speaker:
            _check_speakers(order.stage, items, plan.model, recipe)
        plan = replace(plan, content=plan.fingerprints())
        settings = result_settings(plan)
        if plan.posteriors is not None:
            parts = parts_folder(order.folder, settings)
            plan = replace(plan, posteriors=str(parts))
        run = Run(order, chosen, settings)
        totals = run(work_of(plan, crewing, order.folder))
        save(order.folder / "settings.yaml", used)
        return totals
