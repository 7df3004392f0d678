"""Scored decode dirs side by side: whether they can be compared, and the paired tests."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.errors import DataError, counted, named
from pipeline.scoring.alignment import Pair
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.paired import (
    MatchedPairs,
    PairedBootstrap,
    mapsswe,
    paired_bootstrap,
)
from pipeline.scoring.record import from_json, read_aligned, read_record

_SAME = ("headline", "fold", "alignment")


@dataclasses.dataclass(frozen=True)
class System:
    """A scored decode dir.

    Attributes:
        name: the place, for messages.
        record: its `scores.json`.
        pairs: the aligned phones of every utterance.
    """

    name: str
    record: dict[str, Any]
    pairs: dict[str, list[Pair]]

    def counts(self, unit: str) -> dict[str, ErrorCounts]:
        """Counts of every speaker or utterance."""
        return {key: from_json(c) for key, c in self.record[unit].items()}

    @property
    def total(self) -> ErrorCounts:
        """Counts of the whole set under the headline policy."""
        return from_json(self.record["policies"][self.record["protocol"]["headline"]])


def read_system(place: str | Path) -> System:
    """The scores in a decode dir, or in a scoring folder itself.

    Raises:
        DataError: there are none, or they are damaged.
    """
    folder = Path(place)
    if (folder / "scoring").is_dir():
        folder = folder / "scoring"
    # `per` comes last when scores are made, and goes first when hypotheses are made anew.
    if not all((folder / name).exists() for name in ("per", "scores.json")):
        raise DataError(f"{place}: no scores of its hypotheses; run keraldi score")
    return System(str(place), read_record(folder), read_aligned(folder / "aligned"))


def check_comparable(first: System, second: System) -> None:
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
            f"{first.name} and {second.name}: {counted(len(strange), 'utterance')} in one only: "
            f"{named(strange)}; score both on the same set"
        )


@dataclasses.dataclass(frozen=True)
class Tests:
    """Paired tests between two systems, second minus first.

    Attributes:
        mapsswe: over segments.
        bootstraps: over `speakers` and `utterances`, where there are several.
    """

    mapsswe: MatchedPairs
    bootstraps: dict[str, PairedBootstrap]


def paired_tests(first: System, second: System) -> Tests:
    """Tests two systems that were scored alike.

    Raises:
        DataError: they were not, or their speakers differ.
    """
    check_comparable(first, second)
    bootstraps = {}
    for unit in ("speakers", "utterances"):
        left, right = first.counts(unit), second.counts(unit)
        if set(left) != set(right):
            raise DataError(
                f"{first.name} and {second.name}: other speakers; score both with the same "
                "utt2spk"
            )
        if len(left) > 1:
            bootstraps[unit] = paired_bootstrap(*_in_order(left, right))
    return Tests(mapsswe(first.pairs, second.pairs), bootstraps)


def _in_order(*sides: dict[str, ErrorCounts]) -> Sequence[list[ErrorCounts]]:
    return [[side[key] for key in sorted(sides[0])] for side in sides]
