"""Stage report: a model dir -> one page to look at and listen to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from features.errors import ConfigError, DataError
from features.files import write_text
from pipeline.datadir.datadir import restrict
from pipeline.datadir.lang import read_lang
from pipeline.reporting.breakdown import choose_examples
from pipeline.reporting.examples import (
    Scale,
    make_examples,
    read_scale,
    stored_posteriors,
)
from pipeline.reporting.page import PARTS, Fold, model_json, render, set_json
from pipeline.reporting.sources import (
    ModelDir,
    ScoredSet,
    find_sets,
    read_model,
    short_names,
)
from pipeline.stage import Stamp, note, require

_OF_MODEL = (
    "history.csv",
    "config.yaml",
    "environment.txt",
    "phones.txt",
    "final.keras",
)
_OF_SET = (
    "scoring/scores.json",
    "scoring/aligned",
    "ctm",
    "settings.yaml",
    "posteriors.scp",
)
_OF_DATA = (
    "wav.scp",
    "segments",
    "phones.ctm",
    "feats.scp",
    "cmvn.scp",
    "features.yaml",
)


def _inputs(models: list[ModelDir], lang: str | None) -> list[Path]:
    """The files that the page is made of."""
    found = sorted(PARTS.iterdir())
    found += [model.path / name for model in models for name in _OF_MODEL]
    for model in models:
        for scored in model.sets.values():
            found += [scored.folder / name for name in _OF_SET]
            if scored.data is not None:
                found += [scored.data.path / name for name in _OF_DATA]
    return found + ([Path(lang) / "fold.map"] if lang else [])


class _Posteriors:
    """Posteriors of some utterances: stored ones, or the network's, which is loaded once."""

    def __init__(self, model: ModelDir, wanted: bool) -> None:
        self._model, self._wanted = model, wanted
        self._recogniser: Any = None

    def of(
        self, found: ScoredSet, utterances: list[str]
    ) -> tuple[Mapping[str, np.ndarray], Scale | None, list[str]]:
        """Log-posteriors, what they mean, and why there are none."""
        if found.data is None:
            return {}, None, []
        if not self._wanted:
            return {}, None, ["posteriorgrams were not asked for"]
        try:
            scale = read_scale(self._model, found.data)
            stored = stored_posteriors(found.folder, utterances)
            absent = [utt for utt in utterances if utt not in stored]
            made = self._run(found, absent) if absent else {}
        except DataError as error:
            reason = str(error).splitlines()[0]
            return {}, None, [f"no posteriorgrams: {reason}"]
        return {**stored, **made}, scale, []

    def _run(self, found: ScoredSet, utterances: list[str]) -> dict[str, np.ndarray]:
        """The network's log-posteriors."""
        data = found.data
        if data is None or data.feats is None:
            raise DataError(
                f"{found.folder}: no posteriors.scp and no features; decode with --posteriors"
            )
        if self._recogniser is None:
            from pipeline.nnet.recogniser import load_recogniser  # brings TensorFlow

            self._recogniser = load_recogniser(self._model.path)
        self._recogniser.check_data(data.path)
        some = restrict(data, set(utterances))
        return dict(self._recogniser.log_posteriors(self._recogniser.inputs(some)))


def _set(
    found: ScoredSet,
    posteriors: _Posteriors,
    *,
    fold: Fold | None,
    examples: int,
    show: list[str],
    allow_pipes: bool,
) -> dict[str, Any]:
    """One set of the main model, drawn."""
    known = found.system.record["utterances"]
    chosen = choose_examples(known, examples)
    extra = [utt for utt in show if utt in known]
    chosen["asked"] = extra
    wanted = list(dict.fromkeys([*chosen["worst"], *chosen["median"], *extra]))
    matrices, scale, notes = posteriors.of(found, wanted)
    made, faults = make_examples(
        found, wanted, matrices, scale, allow_pipes=allow_pipes
    )
    notes += faults
    for line in notes:
        note(f"report: {found.name}: {line}")
    return set_json(found, made, chosen, fold=fold, notes=notes)


def report(
    models: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    out: str | None = None,
    lang: str | None = None,
    examples: int = 6,
    show: list[str] | None = None,
    posteriors: bool = True,
    allow_pipes: bool = False,
) -> None:
    """Makes one self-contained HTML page of a model: figures, confusions, utterances with sound.

    Args:
        models: model dirs with scored decode dirs; the page is of the first, the others stand
            beside it with paired tests.
        out: the page; `report.html` in the first model dir when not given.
        lang: lang dir; needed where scoring folded phones, to mark errors in time.
        examples: how many of the worst, and of the median utterances of a set are drawn.
        show: further utterances to draw.
        posteriors: draw posteriorgrams; the network is run where decode stored none.
        allow_pipes: run commands that stand in `wav.scp`.
    """
    if examples < 0:
        raise ConfigError(f"--examples: expected at least 0, got {examples}")
    paths = [Path(model) for model in models]
    for path in paths:
        find_sets(path)
    if lang is not None:
        require(lang, mend="give an existing lang dir")
    page = Path(out) if out else paths[0] / "report.html"
    names = short_names(paths)
    read = [read_model(path, name=n) for path, n in zip(paths, names, strict=True)]
    asked = show or []
    known = {u for s in read[0].sets.values() for u in s.system.record["utterances"]}
    if strange := [utt for utt in asked if utt not in known]:
        raise ConfigError(f"--show: no scored utterance {', '.join(strange)}")
    settings: dict[str, object] = {"examples": examples, "show": asked, "page": 1}
    settings |= {"posteriors": posteriors, "allow_pipes": allow_pipes, "models": names}
    stamp = Stamp.of(
        page.parent,
        f"report_{page.stem}",
        settings=settings,
        inputs=_inputs(read, lang),
    )
    if stamp.matches(page):
        note(f"report: {page} is up to date")
        return
    fold = read_lang(lang).fold.table if lang else None
    source = _Posteriors(read[0], posteriors)
    sets = [
        _set(
            found,
            source,
            fold=fold,
            examples=examples,
            show=asked,
            allow_pipes=allow_pipes,
        )
        for found in read[0].sets.values()
    ]
    text = render([model_json(model, read[0]) for model in read], sets)
    stamp.clear()
    write_text(page, text)
    stamp.write(page)
    note(f"report: {page}: {len(sets)} sets, {len(text.encode()) / 1e6:.2f} MB")
