"""The page: what was gathered as JSON, and the HTML that shows it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import jinja2

from features.errors import DataError, counted, first_line
from pipeline.reporting.album import Album, sources
from pipeline.reporting.breakdown import by_class, by_length
from pipeline.reporting.marks import place
from pipeline.reporting.sources import ModelDir, ScoredSet
from pipeline.scoring.alignment import Pair
from pipeline.scoring.systems import paired_tests

PARTS = Path(__file__).parent / "page"  # template, style and scripts
Fold = Mapping[str, str | None]
_SCRIPTS = (
    "core.js",
    "charts.js",
    "tables.js",
    "heatmap.js",
    "utterances.js",
    "main.js",
)
_SOFTWARE = ("python", "tensorflow", "keras", "numpy")
_RECORD = "protocol policies intervals speakers groups phones classes times calibration".split()


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


class _Index:
    """Numbers for names, given as they are met: a page of names would be three times as large."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def of(self, name: str | None) -> int:
        """The number of a name; -1 of None."""
        if name is None:
            return -1
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def _marks(
    found: ScoredSet,
    utt: str,
    pairs: Sequence[Pair],
    index: _Index,
    *,
    side: int,
    fold: Fold | None,
    unheard: Set[str],
) -> tuple[list[int] | None, bool]:
    """The marks of an utterance as numbers, five each, made small by differences.

    Returns:
        Phone, milliseconds since the end of the mark before, its duration, confidence (% or -1),
        and how many pairs after that of the mark before (0: not scored), of every mark in a
        row; None where there are no marks. And whether they agree with the alignment.
    """
    marks = (found.references, found.hypotheses)[side].get(utt)
    if marks is None:
        return None, True
    placed = place(marks, pairs, side=side, fold=fold, unheard=unheard)
    slots = [None] * len(marks) if placed is None else [p.pair for p in placed]
    row: list[int] = []
    clock, last = 0, -1
    for mark, pair in zip(marks, slots, strict=True):
        sure = -1 if mark.confidence is None else round(100 * mark.confidence)
        start, end = _milliseconds(mark.start), _milliseconds(mark.end)
        step = 0 if pair is None else pair - last
        row += [index.of(mark.phone), start - clock, end - start, sure, step]
        clock, last = end, last + step
    return row, placed is not None


def set_json(
    found: ScoredSet, chosen: Mapping[str, Sequence[str]], *, fold: Fold | None
) -> dict[str, Any]:
    """What the page knows of a set of the main model, all but sound and pictures."""
    record, pairs_of = found.system.record, found.system.pairs
    classes = record["classes"]["of"]
    forgiven = record["protocol"]["headline"] == "sil-forgiven"
    unheard = {p for p, name in classes.items() if name == "silence" and forgiven}
    index, utterances, strange = _Index(), [], [0, 0]
    for utt, counts in record["utterances"].items():
        pairs = pairs_of[utt]
        sides = []
        for side in (0, 1):
            row, agrees = _marks(
                found, utt, pairs, index, side=side, fold=fold, unheard=unheard
            )
            strange[side] += not agrees
            sides.append(row)
        utterances.append(
            {
                "id": utt,
                "speaker": counts["speaker"],
                "pairs": [index.of(phone) for pair in pairs for phone in pair],
                "ref": sides[0],
                "hyp": sides[1],
            }
        )
    names = zip(("phones.ctm", "ctm"), strange, strict=True)
    said = [
        f"{name} of {counted(count, 'utterance')} has other phones than were scored (a fold? give "
        "--lang): they are shown without marks of errors"
        for name, count in names
        if count
    ]
    return {
        "name": found.name,
        "folder": str(found.folder),
        **{key: record[key] for key in _RECORD},
        "notes": [*record["notes"], *found.notes, *said],
        "settings": (
            None if found.settings is None else dataclasses.asdict(found.settings)
        ),
        "by_length": by_length(record["utterances"]),
        "by_class": by_class(record["phones"], classes),
        "symbols": index.names,
        "utterances": utterances,
        "chosen": chosen,
    }


def _against(main: ScoredSet, other: ScoredSet) -> dict[str, Any]:
    """Paired tests of another system against the main one, or why there are none."""
    try:
        tests = paired_tests(main.system, other.system)
    except DataError as error:
        return {"why_not": first_line(error)}
    bootstraps = {key: dataclasses.asdict(t) for key, t in tests.bootstraps.items()}
    return {"mapsswe": dataclasses.asdict(tests.mapsswe), **bootstraps}


def _layer_text(layer: Mapping[str, Any]) -> str:
    """One of `network.layers` in words."""
    parts = [str(layer["type"]), counted(layer["cells"], "cell")]
    if projection := layer.get("projection"):
        parts.append(f"projection {projection}")
    if layer.get("bidirectional", "none") not in (None, "none"):
        parts.append("bidirectional")
    if layer.get("repeat", 1) > 1:
        parts.append(f"{layer['repeat']} times")
    return ", ".join(parts)


def _facts(model: ModelDir) -> list[tuple[str, str]]:
    """The network, its training and what trained it, in a few words."""
    config, facts = model.config, []
    if "network" in config:
        facts.append(
            ("network", "; ".join(map(_layer_text, config["network"]["layers"])))
        )
    if "objective" in config:
        facts.append(("objective", str(config["objective"]["type"])))
    history = model.history or {}
    if epochs := len(history.get("epoch", ())):
        seconds = sum(value or 0.0 for value in history.get("seconds", ()))
        facts.append(
            (
                "training",
                f"{counted(epochs, 'epoch')}"
                + (f", {seconds:.0f} s" if seconds else ""),
            )
        )
    software = [f"{k} {v}" for k, v in model.environment if k in _SOFTWARE]
    if software:
        facts.append(("software", ", ".join(software)))
    return facts + [pair for pair in model.environment if pair[0] not in _SOFTWARE]


def model_json(model: ModelDir, main: ModelDir) -> dict[str, Any]:
    """What the page knows of a model, the main one or one beside it."""
    sets = {}
    for name, found in model.sets.items():
        record = found.system.record
        row = {key: record[key] for key in ("protocol", "policies", "intervals")}
        if model is not main and name in main.sets:
            row["tests"] = _against(main.sets[name], found)
        sets[name] = {**row, "utterances": len(record["utterances"])}
    return {
        "name": model.name,
        "path": str(model.path),
        "history": model.history,
        "facts": _facts(model),
        "sets": sets,
        "unscored": list(model.unscored),
    }


def embedded_json(value: Any) -> str:
    """JSON that can stand inside a script element: no markup can begin in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def illustrated(
    sets: Sequence[Mapping[str, Any]],
    album: Album,
    found: Sequence[ScoredSet],
    notes: Sequence[Sequence[str]],
) -> list[dict[str, Any]]:
    """Sets of `set_json` with their posteriorgrams; `media` says of which data, -1 of none."""
    rows = zip(sets, sources(found), notes, strict=True)
    return [
        {
            **one,
            "notes": [*one["notes"], *more],
            "media": -1 if source is None else source,
            "posteriors": album.posteriors.get(number, {}),
        }
        for number, (one, source, more) in enumerate(rows)
    ]


def render(
    models: Sequence[Mapping[str, Any]],
    sets: Sequence[Mapping[str, Any]],
    media: Mapping[int, Mapping[str, Any]],
) -> str:
    """The whole page as HTML.

    Args:
        models: from `model_json`, the main one first.
        sets: from `illustrated`, of the main model.
        media: sound and spectrograms by data and utterance.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((PARTS / "page.html").read_text("utf-8"))
    return template.render(
        models=models,
        sets=sets,
        style=(PARTS / "page.css").read_text("utf-8"),
        script="\n".join((PARTS / name).read_text("utf-8") for name in _SCRIPTS),
        data=embedded_json({"models": models, "sets": sets, "media": media}),
    )
