"""Time marks beside aligned phones: which phone of the alignment stands when."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from pipeline.datadir.times import PhoneInterval
from pipeline.scoring.alignment import Pair


@dataclass(frozen=True)
class Placed:
    """A phone in time.

    Attributes:
        mark: the phone as it stands on disk.
        pair: index of its pair in the alignment; None where it was not scored.
    """

    mark: PhoneInterval
    pair: int | None


def place(
    marks: Sequence[PhoneInterval],
    pairs: Sequence[Pair],
    *,
    side: int,
    fold: Mapping[str, str | None] | None = None,
    unheard: Set[str] = frozenset(),
) -> list[Placed] | None:
    """Joins the marks of one side with the pairs of the alignment.

    Args:
        marks: in order of time.
        pairs: of reference and hypothesis.
        side: 0 for the reference, 1 for the hypothesis.
        fold: training phone -> scoring phone, None deletes; phones as they are without it.
        unheard: scoring phones that the headline policy leaves out.

    Returns:
        One item a mark; None where the marks are of other phones than the alignment.
    """
    slots = [(i, pair[side]) for i, pair in enumerate(pairs) if pair[side] is not None]
    placed = []
    for mark in marks:
        phone = mark.phone if fold is None else fold.get(mark.phone, mark.phone)
        if phone is None or phone in unheard:
            placed.append(Placed(mark, None))
            continue
        index = sum(item.pair is not None for item in placed)
        if index >= len(slots) or slots[index][1] != phone:
            return None
        placed.append(Placed(mark, slots[index][0]))
    return placed if sum(p.pair is not None for p in placed) == len(slots) else None
