"""Sound and pictures of a page: which utterances get them, each once, within a number of bytes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from features.errors import DataError
from pipeline.datadir.datadir import DataDir
from pipeline.reporting.breakdown import choose_examples, confused_examples
from pipeline.reporting.sources import ScoredSet

Media = dict[str, Any]
_TINY = 5000  # bytes: hardly an utterance's sound and pictures
_MARKS = 12  # quotes and commas between items


@dataclass(frozen=True)
class Chosen:
    """The utterances of a set that are to be drawn.

    Attributes:
        shown: by kind, those that the page shows by themselves.
        confused: those that let the most frequent errors be heard.
    """

    shown: Mapping[str, list[str]]
    confused: list[str]

    @property
    def wanted(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys([*sum(self.shown.values(), []), *self.confused]))


def sources(sets: Iterable[ScoredSet]) -> list[int | None]:
    """Numbers that are equal where sets share their data, from 0; None without data."""
    numbers: dict[str, int] = {}
    return [
        (
            None
            if found.data is None
            else numbers.setdefault(str(found.data.path.resolve()), len(numbers))
        )
        for found in sets
    ]


def choose(sets: Sequence[ScoredSet], count: int, show: Sequence[str]) -> list[Chosen]:
    """The worst, the median and the asked-for utterances, and one for each frequent error.

    Args:
        sets: those of the page.
        count: how many of the worst and of the median; twice as many errors.
        show: asked for, where a set has them.

    Returns:
        One item a set. An error that can be heard in an utterance which is drawn anyway, in
        this set or another of the same data, asks for no further one.
    """
    shown = []
    for found in sets:
        known = found.system.record["utterances"]
        asked = [utt for utt in show if utt in known]
        shown.append({"asked": asked, **choose_examples(known, count)})
    drawn: dict[int | None, set[str]] = {}
    for source, kinds in zip(sources(sets), shown, strict=True):
        drawn.setdefault(source, set()).update(*kinds.values())
    chosen = []
    for source, found, kinds in zip(sources(sets), sets, shown, strict=True):
        pairs = found.system.pairs
        confused = confused_examples(pairs, 2 * count, drawn=drawn[source])
        drawn[source].update(confused)
        chosen.append(Chosen(kinds, confused))
    return chosen


def in_turn(chosen: Sequence[Chosen]) -> Iterator[tuple[int, str]]:
    """Set and utterance, the most wanted first: those asked for, the worst of every set, …"""
    kinds = [{**one.shown, "confused": one.confused} for one in chosen]
    for kind in ("asked", "worst", "median", "confused"):
        for rank in zip_longest(*[lists[kind] for lists in kinds]):
            yield from ((number, utt) for number, utt in enumerate(rank) if utt)


@dataclass
class Album:
    """What is drawn, as long as there is room.

    Attributes:
        room: bytes that are left.
        sound: draws sound and spectrogram of an utterance of a data dir.
        media: by data (see `sources`) and utterance, for all sets of the data.
        posteriors: by set and utterance.
        faults: by set, what could not be drawn, and why.
        left_out: by set, utterances for which there was no room.
    """

    room: int
    sound: Callable[[DataDir, str], Media]
    media: dict[int, dict[str, Media]] = field(default_factory=dict)
    posteriors: dict[int, dict[str, Media]] = field(default_factory=dict)
    faults: dict[int, list[str]] = field(default_factory=dict)
    left_out: dict[int, list[str]] = field(default_factory=dict)

    def fill(
        self,
        sets: Sequence[ScoredSet],
        wanted: Iterable[tuple[int, str]],
        posteriors: Sequence[Callable[[str], Media | None]],
    ) -> None:
        """Draws utterances in their order; one that is too large does not stop those after it.

        Args:
            sets: those of the page.
            wanted: set and utterance; those that come again are passed over.
            posteriors: by set, draws the posteriorgram of an utterance, if it has one.
        """
        data = sources(sets)
        for number, utt in dict.fromkeys(wanted):
            if self.room < _TINY:
                self._leave(number, utt)
                continue
            found, source = sets[number].data, data[number]
            shared = {} if source is None else self.media.setdefault(source, {})
            new: Media = {}
            if found is not None and utt not in shared:
                new = self._hear(number, found, utt)
            picture = posteriors[number](utt)
            needed = _size(new) + _size(picture) + 2 * len(utt.encode()) + _MARKS
            if needed > self.room:
                self._leave(number, utt)
                continue
            self.room -= needed
            if new:
                shared[utt] = new
            if picture is not None:
                self.posteriors.setdefault(number, {})[utt] = picture

    def _hear(self, number: int, data: DataDir, utt: str) -> Media:
        """Sound and spectrogram; nothing, and a fault, where there is none."""
        try:
            return self.sound(data, utt)
        except DataError as error:
            text = f"no audio of {utt}: {error}"
        self.room -= _size(text)
        self.faults.setdefault(number, []).append(text)
        return {}

    def _leave(self, number: int, utt: str) -> None:
        self.left_out.setdefault(number, []).append(utt)


def _size(value: Any) -> int:
    return len(json.dumps(value))
