"""Stage report: a model dir -> one page to look at and listen to."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from features.errors import ConfigError, DataError, counted, first_line, named
from features.files import write_text
from pipeline.batch.crew import Crewing
from pipeline.datadir.datadir import restrict
from pipeline.datadir.lang import read_lang
from pipeline.datadir.phones import read_phones
from pipeline.decoding.outputs import OutputLayer
from pipeline.posteriors import Model, Store
from pipeline.reporting.album import Album, Chosen, choose, in_turn
from pipeline.reporting.examples import draw_posteriors, draw_sound
from pipeline.reporting.page import PARTS, illustrated, model_json, render, set_json
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
    "posteriors.yaml",
)
_OF_DATA = (
    "wav.scp",
    "segments",
    "phones.ctm",
    "feats.scp",
    "cmvn.scp",
    "features.yaml",
)
_LEAST = 0.25  # of the page, for sound and pictures


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


@dataclass(frozen=True)
class _Posteriors:
    """Where posteriors of some utterances come from.

    Attributes:
        model: run where none are stored.
        wanted: whether any are to be drawn.
    """

    model: ModelDir
    wanted: bool

    def of(
        self, found: ScoredSet, utterances: list[str]
    ) -> tuple[dict[str, np.ndarray], OutputLayer | None, list[str]]:
        """Log-posteriors, what they mean, and why there are none."""
        if not self.wanted or not utterances:
            return {}, None, []
        try:
            layer, values = self._get(found, utterances)
            for utt, matrix in values.items():
                layer.check(utt, matrix)
        except DataError as error:
            return {}, None, [f"no posteriorgrams: {first_line(error)}"]
        return values, layer, []

    def _get(
        self, found: ScoredSet, utterances: list[str]
    ) -> tuple[OutputLayer, dict[str, np.ndarray]]:
        """Stored posteriors, or else the network's."""
        if (found.folder / "posteriors.scp").exists():
            store = Store(found.folder)
            reader = store.reader()
            return store.layer(), {u: reader[u] for u in utterances if u in reader}
        if found.data is None or found.data.feats is None:
            raise DataError(
                f"{found.folder}: no posteriors.scp and no features; decode with --posteriors"
            )
        if not (self.model.path / "final.keras").exists():
            raise DataError(
                f"{found.folder}: no posteriors.scp, and no model in {self.model.path}; decode "
                "with --posteriors"
            )
        some = restrict(found.data, set(utterances))
        layer = self._network.open(some, read_phones(self.model.path / "phones.txt"))
        return layer, dict(self._network.posteriors(some))

    @cached_property
    def _network(self) -> Model:
        """One for all sets: to load it takes seconds."""
        return Model(self.model.path, Crewing(), self.model.path / ".stamps" / "marks")


def _draw(
    sets: list[ScoredSet],
    chosen: list[Chosen],
    album: Album,
    posteriors: _Posteriors,
    most: str,
) -> list[list[str]]:
    """Fills the album; by set, what is missing, and why."""
    pictures, notes = [], []
    for found, one in zip(sets, chosen, strict=True):
        values, layer, faults = posteriors.of(found, one.wanted)
        pictures.append(
            partial(draw_posteriors, found=found, layer=layer, posteriors=values)
        )
        notes.append(faults)
    album.fill(sets, in_turn(chosen), pictures)
    for number, lines in enumerate(notes):
        lines += album.faults.get(number, [])
        if out := album.left_out.get(number):
            lines.append(
                f"sound or pictures left out of {len(out)} of the "
                f"{counted(len(chosen[number].wanted), 'utterance')} chosen, to keep the page "
                "below "
                f"{most}: {named(out)}"
            )
        for line in lines:
            note(f"report: {sets[number].name}: {line}")
    return notes


def report(
    models: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    out: str | None = None,
    lang: str | None = None,
    examples: int = 6,
    show: Annotated[list[str] | None, Parameter(negative=())] = None,
    posteriors: bool = True,
    megabytes: float = 4.8,
    allow_pipes: bool = False,
) -> None:
    """Makes one self-contained HTML page of a model: figures, confusions, utterances with sound.

    Args:
        models: model dirs with scored decode dirs; the page is of the first, the others stand
            beside it with paired tests.
        out: the page; `report.html` in the first model dir when not given.
        lang: lang dir; needed where scoring folded phones, to mark errors in time.
        examples: how many of the worst, and of the median utterances of a set are drawn; and
            one for each of twice as many of its most frequent errors that none of them holds.
        show: further utterances to draw.
        posteriors: draw posteriorgrams; the network is run where decode stored none.
        megabytes: size of the page that sound and pictures are to keep; a quarter of it is
            theirs even where the figures leave less.
        allow_pipes: run commands that stand in `wav.scp`.
    """
    if examples < 0:
        raise ConfigError(f"--examples: expected at least 0, got {examples}")
    if not megabytes > 0:
        raise ConfigError(f"--megabytes: expected more than 0, got {megabytes:g}")
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
    settings: dict[str, object] = {"examples": examples, "show": asked, "page": 2}
    settings |= {"megabytes": megabytes}
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
    sets = list(read[0].sets.values())
    chosen = choose(sets, examples, asked)
    figures = [model_json(model, read[0]) for model in read]
    parts = [
        set_json(found, one.shown, fold=fold)
        for found, one in zip(sets, chosen, strict=True)
    ]
    left = 1e6 * megabytes - len(render(figures, parts, {}).encode())
    album = Album(
        room=round(max(left, 1e6 * megabytes * _LEAST)),
        sound=partial(draw_sound, allow_pipes=allow_pipes),
    )
    source = _Posteriors(read[0], posteriors)
    notes = _draw(sets, chosen, album, source, f"{megabytes:g} MB (--megabytes)")
    text = render(figures, illustrated(parts, album, sets, notes), album.media)
    stamp.clear()
    write_text(page, text)
    stamp.write(page)
    note(
        f"report: {page}: {counted(len(sets), 'set')}, {len(text.encode()) / 1e6:.2f} MB"
    )
