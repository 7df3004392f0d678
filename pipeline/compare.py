"""Stage compare: whether one scored system is better than another."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from features.errors import counted
from features.files import write_text
from pipeline.scoring.paired import MatchedPairs, PairedBootstrap
from pipeline.scoring.systems import paired_tests, read_system
from pipeline.stage import note, require


def _bootstrap_line(found: PairedBootstrap, unit: str) -> str:
    return (
        f"paired bootstrap over {found.groups} {unit}: {found.difference:+.2f}, 95 % "
        f"{found.low:+.2f} to {found.high:+.2f}, the second better in "
        f"{100 * found.better:.1f} % of {found.replicates} replicates, p = {found.p:.4g}"
    )


def _mapsswe_line(found: MatchedPairs) -> str:
    z = "n/a" if found.z is None else f"{found.z:.3f}"
    return (
        f"MAPSSWE: {counted(found.segments, 'segment')}, mean {found.mean:+.3f} errors, sd "
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
    for place in (first, second):
        require(place, mend="give a scored decode dir")
    systems = [read_system(first), read_system(second)]
    tests = paired_tests(*systems)
    lines = [f"{system.name}: {system.total.line()}" for system in systems]
    lines += [_bootstrap_line(b, unit) for unit, b in tests.bootstraps.items()]
    lines.append(_mapsswe_line(tests.mapsswe))
    for line in lines:
        note(line)
    if out is not None:
        found: dict[str, MatchedPairs | PairedBootstrap] = {
            "mapsswe": tests.mapsswe,
            **tests.bootstraps,
        }
        record: dict[str, Any] = {k: dataclasses.asdict(v) for k, v in found.items()}
        record |= {"first": first, "second": second}
        write_text(Path(out + ".json"), json.dumps(record, indent=1) + "\n")
        write_text(Path(out), "".join(f"{line}\n" for line in lines))
