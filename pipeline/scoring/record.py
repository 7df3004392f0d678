"""Everything a score says, as readable tables and as `scores.json`.

`scores.json`, one object; a COUNTS is `{"hits", "substitutions", "deletions", "insertions",
"tokens", "errors", "rate"}`, `rate` in percent or null without tokens:

    version       1
    protocol      {"headline", "why", "fold", "alignment", "decoding", "tuned_on_itself"}
    policies      {policy: COUNTS}
    intervals     {"speakers" (null for one speaker), "utterances"}: {"low", "high", "groups",
                  "replicates"}, of the headline's rate, in percent
    speakers      {speaker: COUNTS}, under the headline policy, as all that follows
    utterances    {utterance: {"speaker", **COUNTS}}
    groups        {"sex" | "dialect" | "age": {value: COUNTS}}, those that the data dir knows
    phones        {phone: COUNTS}; insertions under the inserted phone
    confusion     [[reference | null, hypothesis | null, count]]; null: inserted, deleted
    classes       {"of": {phone: class}, "confusion": as above, between classes}
    times         null, or {"utterances", "frames", "frames_right", "frame_accuracy" (percent),
                  "boundaries": {"10" | "20" | "50": {"matched", "references", "hypotheses",
                  "precision", "recall", "f_score", "r_value"}}}
    calibration   null, or {"phones", "correct", "ece", "nce" (or null),
                  "bins": [[low, high, count, mean confidence, share correct]]}
    notes         [what was left out, and why]

The alignments stand in `aligned`, four lines an utterance as in Kaldi's per_utt: `utt ref …`,
`utt hyp …` (`***` where there is no phone), `utt op …` (C S D I) and `utt #csid C S I D`.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.tables import read_lines
from pipeline.scoring.alignment import Pair
from pipeline.scoring.boundaries import Timing
from pipeline.scoring.breakdown import (
    class_confusion,
    error_tables,
    group_counts,
    phone_counts,
)
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.counts import Comparison, ErrorCounts
from pipeline.scoring.intervals import bootstrap_interval
from pipeline.scoring.summary import Protocol
from pipeline.scoring.table import Score

GAP = "***"
_OPERATION = {(True, False): "I", (False, True): "D"}


@dataclass(frozen=True)
class Extras:
    """What a score knows besides the counts.

    Attributes:
        utt2spk: speaker of every utterance.
        traits: trait -> utterance -> value.
        classes: broad class of every phone.
        timing, calibration: None where not known.
        notes: what was left out, and why.
    """

    utt2spk: Mapping[str, str]
    traits: Mapping[str, Mapping[str, str]]
    classes: Mapping[str, str]
    timing: Timing | None = None
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()


def as_json(counts: ErrorCounts) -> dict[str, Any]:
    """A COUNTS of `scores.json`."""
    rate = counts.rate if counts.tokens else None
    return {
        **dataclasses.asdict(counts),
        "tokens": counts.tokens,
        "errors": counts.errors,
        "rate": rate,
    }


def from_json(record: Mapping[str, Any]) -> ErrorCounts:
    """The counts of a COUNTS; DataError where they do not add up."""
    names = [field.name for field in dataclasses.fields(ErrorCounts)]
    counts = ErrorCounts(**{name: record[name] for name in names})
    if (counts.tokens, counts.errors) != (record["tokens"], record["errors"]):
        raise DataError(f"error counts do not add up: {dict(record)}")
    return counts


def _timing_json(timing: Timing) -> dict[str, Any]:
    return {
        "utterances": timing.utterances,
        "frames": timing.frames,
        "frames_right": timing.frames_right,
        "frame_accuracy": timing.frame_accuracy,
        "boundaries": {
            str(ms): {
                **dataclasses.asdict(counts),
                "precision": counts.precision,
                "recall": counts.recall,
                "f_score": counts.f_score,
                "r_value": counts.r_value,
            }
            for ms, counts in timing.boundaries.items()
        },
    }


def _all(table: Mapping[str, ErrorCounts]) -> dict[str, Any]:
    return {key: as_json(table[key]) for key in sorted(table, key=str.encode)}


def _triples(table: Mapping[Pair, int]) -> list[list[Any]]:
    rows = sorted(table.items(), key=lambda item: (-item[1], str(item[0])))
    return [[left, right, count] for (left, right), count in rows]


def build_record(
    scores: Mapping[str, Score], protocol: Protocol, extras: Extras
) -> dict[str, Any]:
    """The object of `scores.json`; see the top of this module."""
    best = scores[protocol.headline]
    confusion = best.confusion
    units = {"utterances": [c.counts for c in best.utterances.values()]}
    if len(best.speakers) > 1:
        units["speakers"] = list(best.speakers.values())
    intervals: dict[str, Any] = {"speakers": None}
    for unit, groups in units.items():
        found = dataclasses.asdict(bootstrap_interval(groups, unit=unit))
        del found["unit"]
        intervals[unit] = found
    return {
        "version": 1,
        "protocol": dataclasses.asdict(protocol),
        "policies": {policy: as_json(s.total) for policy, s in scores.items()},
        "intervals": intervals,
        "speakers": _all(best.speakers),
        "utterances": {
            utt: {"speaker": extras.utt2spk[utt], **as_json(comparison.counts)}
            for utt, comparison in best.utterances.items()
        },
        "groups": {
            trait: _all(group_counts(best.utterances, values))
            for trait, values in extras.traits.items()
        },
        "phones": _all(phone_counts(confusion)),
        "confusion": _triples(confusion),
        "classes": {
            "of": dict(extras.classes),
            "confusion": _triples(class_confusion(confusion, extras.classes)),
        },
        "times": None if extras.timing is None else _timing_json(extras.timing),
        "calibration": (
            None
            if extras.calibration is None
            else dataclasses.asdict(extras.calibration)
        ),
        "notes": list(extras.notes),
    }


def _aligned(utterances: Mapping[str, Comparison]) -> Iterable[str]:
    for utt, comparison in utterances.items():
        pairs, c = comparison.pairs, comparison.counts
        ops = (
            _OPERATION.get((x is None, y is None), "C" if x == y else "S")
            for x, y in pairs
        )
        yield " ".join([utt, "ref", *(x or GAP for x, _ in pairs)]) + "\n"
        yield " ".join([utt, "hyp", *(y or GAP for _, y in pairs)]) + "\n"
        yield " ".join([utt, "op", *ops]) + "\n"
        yield f"{utt} #csid {c.hits} {c.substitutions} {c.insertions} {c.deletions}\n"


def read_aligned(path: Path) -> dict[str, list[Pair]]:
    """The pairs of every utterance from a file `aligned`."""
    found: dict[str, list[Pair]] = {}
    lines = [line.split() for line in read_lines(path)]
    if len(lines) % 4:
        raise DataError(f"{path}: expected four lines an utterance; score again")
    for place in range(0, len(lines), 4):
        left, right = lines[place : place + 2]
        if left[:2] != [right[0], "ref"] or len(left) != len(right):
            raise DataError(f"{path}:{place + 1}: expected ref and hyp; score again")
        sides = ([None if p == GAP else p for p in side[2:]] for side in (left, right))
        found[left[0]] = list(zip(*sides, strict=True))
    return found


def read_record(folder: Path) -> dict[str, Any]:
    """Reads `scores.json` of a scoring folder; DataError where it is missing or broken."""
    path = folder / "scores.json"
    try:
        record: dict[str, Any] = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not JSON ({error}); run keraldi score again"
        ) from None
    if record.get("version") != 1:
        raise DataError(f"{path}: expected version 1; run keraldi score again")
    return record


def _counts_table(name: str, table: Mapping[str, Any]) -> str:
    rows = [f"# {name} %PER tokens hit sub del ins"]
    for key, c in table.items():
        rate = "n/a" if c["rate"] is None else f"{c['rate']:.2f}"
        names = ("tokens", "hits", "substitutions", "deletions", "insertions")
        rows.append(" ".join([key, rate, *(str(c[n]) for n in names)]))
    return "\n".join(rows) + "\n"


def write_tables(
    folder: Path, scores: Mapping[str, Score], protocol: Protocol, extras: Extras
) -> None:
    """Writes the breakdowns as plain files, then `scores.json`."""
    record = build_record(scores, protocol, extras)
    best = scores[protocol.headline]
    for trait, table in record["groups"].items():
        write_text(folder / f"per_{trait}", _counts_table(trait, table))
    write_text(folder / "per_phone", _counts_table("phone", record["phones"]))
    for name, rows in error_tables(best.confusion).items():
        body = "".join(f"{count} {x} {y}\n" for x, y, count in rows)
        write_text(folder / name, "# count reference hypothesis\n" + body)
    body = "".join(
        f"{count} {x or '<ins>'} {y or '<del>'}\n"
        for x, y, count in record["classes"]["confusion"]
    )
    write_text(folder / "confusion_classes", "# count reference hypothesis\n" + body)
    lines = [
        f"{unit}: {found['low']:.2f} {found['high']:.2f} ({found['groups']} drawn with "
        f"replacement, {found['replicates']} replicates)\n"
        for unit, found in record["intervals"].items()
        if found is not None
    ]
    write_text(folder / "intervals", "# 95 % interval of %PER\n" + "".join(lines))
    if extras.timing is not None:
        write_text(folder / "times", _timing_text(extras.timing))
    if extras.calibration is not None:
        write_text(folder / "calibration", _calibration_text(extras.calibration))
    write_text(folder / "aligned", "".join(_aligned(best.utterances)))
    write_text(folder / "scores.json", json.dumps(record, ensure_ascii=False) + "\n")


def _timing_text(timing: Timing) -> str:
    rows = ["# boundaries within ms: precision recall F R-value (matched, ref, hyp)\n"]
    for ms, c in timing.boundaries.items():
        rows.append(
            f"{ms} {c.precision:.4f} {c.recall:.4f} {c.f_score:.4f} {c.r_value:.4f} "
            f"({c.matched}, {c.references}, {c.hypotheses})\n"
        )
    rows.append(
        f"frame accuracy {timing.frame_accuracy:.2f} % [ {timing.frames_right} / "
        f"{timing.frames} frames of 10 ms, {timing.utterances} utterances ]\n"
    )
    return "".join(rows)


def _calibration_text(found: Calibration) -> str:
    nce = "n/a" if found.nce is None else f"{found.nce:.4f}"
    rows = [
        f"ECE {found.ece:.4f}  NCE {nce}  {found.phones} phones, "
        f"{100 * found.correct:.2f} % correct\n# from to phones confidence correct\n"
    ]
    rows += [f"{a:.1f} {b:.1f} {n} {c:.4f} {h:.4f}\n" for a, b, n, c, h in found.bins]
    return "".join(rows)
