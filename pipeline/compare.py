"""Stage compare: whether one scored system is better than another."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from features.errors import DataError
from features.files import write_text
from pipeline.scoring.alignment import Pair
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.paired import (
    MatchedPairs,
    PairedBootstrap,
    mapsswe,
    paired_bootstrap,
)
from pipeline.scoring.record import from_json, read_aligned, read_record
from pipeline.stage import note, require

_SAME = ("headline", "fold", "alignment")


@dataclasses.dataclass(frozen=True)
class _System:
    """A scored decode dir."""

    name: str
    record: dict[str, Any]
    pairs: dict[str, list[Pair]]

    def counts(self, unit: str) -> dict[str, ErrorCounts]:
        return {key: from_json(c) for key, c in self.record[unit].items()}

    @property
    def total(self) -> ErrorCounts:
        return from_json(self.record["policies"][self.record["protocol"]["headline"]])


def _read(place: str) -> _System:
    """The scores in a decode dir, or in a scoring folder itself."""
    require(place, mend="give a scored decode dir")
    folder = Path(place)
    if (folder / "scoring").is_dir():
        folder = folder / "scoring"
    return _System(place, read_record(folder), read_aligned(folder / "aligned"))


def _check_comparable(first: _System, second: _System) -> None:
    """Raises DataError where the two were not scored alike."""
    for key in _SAME:
        values = [system.record["protocol"][key] for system in (first, second)]
        if values[0] != values[1]:
            raise DataError(
                f"{first.name} and {second.name}: {key} is {values[0]!r} and {values[1]!r}; "
                "score both with the same data, lang dir and options"
            )
    sets = [set(system.record["utterances"]) for system in (first, second)]
    if sets[0] != sets[1]:
        strange = sorted(sets[0] ^ sets[1], key=str.encode)
        raise DataError(
            f"{first.name} and {second.name}: {len(strange)} utterances are in one only: "
            f"{', '.join(strange[:10])}; score both on the same set"
        )


def _bootstrap_line(found: PairedBootstrap, unit: str) -> str:
    return (
        f"paired bootstrap over {found.groups} {unit}: {found.difference:+.2f}, 95 % "
        f"{found.low:+.2f} to {found.high:+.2f}, the second better in "
        f"{100 * found.better:.1f} % of {found.replicates} replicates, p = {found.p:.4g}"
    )


def _mapsswe_line(found: MatchedPairs) -> str:
    z = "n/a" if found.z is None else f"{found.z:.3f}"
    return (
        f"MAPSSWE: {found.segments} segments, mean {found.mean:+.3f} errors, sd "
        f"{found.sd:.3f}, Z = {z}, p = {found.p:.4g}"
    )


def compare(first: str, second: str, *, out: str | None = None) -> None:
    """Tests two scored decode dirs of one set against each other, second minus first.

    Prints both rates, paired bootstraps over speakers and utterances, and the matched-pairs
    (MAPSSWE) test. Negative differences are for the second system.

    Args:
        first, second: decode dirs that `keraldi score` has scored on the same references.
        out: file for the same lines; beside it, with `.json`, the figures.
    """
    systems = [_read(first), _read(second)]
    _check_comparable(*systems)
    tests: dict[str, Any] = {"mapsswe": mapsswe(*(s.pairs for s in systems))}
    lines = [f"{system.name}: {system.total.line()}" for system in systems]
    for unit in ("speakers", "utterances"):
        left, right = (system.counts(unit) for system in systems)
        if set(left) != set(right):
            raise DataError(
                f"{first} and {second}: other speakers; score both with the same utt2spk"
            )
        if len(left) > 1:
            sides = ([side[key] for key in sorted(left)] for side in (left, right))
            tests[unit] = paired_bootstrap(*sides)
            lines.append(_bootstrap_line(tests[unit], unit))
    lines.append(_mapsswe_line(tests["mapsswe"]))
    for line in lines:
        note(line)
    if out is not None:
        record: dict[str, Any] = {
            key: dataclasses.asdict(found) for key, found in tests.items()
        }
        record |= {"first": first, "second": second}
        write_text(Path(out + ".json"), json.dumps(record, indent=1) + "\n")
        write_text(Path(out), "".join(f"{line}\n" for line in lines))
