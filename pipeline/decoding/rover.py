"""Votes among hypotheses: ROVER over phones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from pipeline.datadir.times import PhoneInterval

_SUBSTITUTION, _GAP = 4.0, 3.0  # as in sclite's alignments
_SHORTEST = 0.001  # seconds, of a phone whose times were averaged


@dataclass(frozen=True)
class Voter:
    """One hypothesis of an utterance.

    Attributes:
        phones: with times; phones without a confidence count as certain.
        weight: of its votes, > 0.
    """

    phones: Sequence[PhoneInterval]
    weight: float = 1.0


@dataclass
class _Slot:
    """A place in the utterance, and what is said to stand there; None is nothing."""

    said: list[tuple[PhoneInterval | None, float]]

    def share(self, phone: str | None) -> float:
        """The part of the votes so far that a phone has."""
        total = sum(weight for _, weight in self.said)
        votes = (w for p, w in self.said if (None if p is None else p.phone) == phone)
        return sum(votes) / total


@numba.njit(cache=True, nogil=True)
def _align(swaps: np.ndarray, skips: np.ndarray) -> list[tuple[int, int]]:
    """The cheapest alignment of slots and phones; pairs of places, -1 for none.

    Args:
        swaps: [M, N], cost of phone n in slot m.
        skips: [M], cost of nothing in slot m.
    """
    slots, phones = swaps.shape
    cost = np.zeros((slots + 1, phones + 1))
    for n in range(1, phones + 1):
        cost[0, n] = _GAP * n
    for m in range(1, slots + 1):
        cost[m, 0] = cost[m - 1, 0] + skips[m - 1]
        for n in range(1, phones + 1):
            cost[m, n] = min(
                cost[m - 1, n - 1] + swaps[m - 1, n - 1],
                cost[m - 1, n] + skips[m - 1],
                cost[m, n - 1] + _GAP,
            )
    pairs = [(-1, -1) for _ in range(0)]
    m, n = slots, phones
    while m or n:
        if m and n and cost[m, n] == cost[m - 1, n - 1] + swaps[m - 1, n - 1]:
            m, n = m - 1, n - 1
            pairs.append((m, n))
        elif m and cost[m, n] == cost[m - 1, n] + skips[m - 1]:
            m -= 1
            pairs.append((m, -1))
        else:
            n -= 1
            pairs.append((-1, n))
    return pairs[::-1]


def _joined(slots: list[_Slot], voter: Voter, before: float) -> list[_Slot]:
    """The slots with one more hypothesis; `before` is the weight of all others so far."""
    shares = [
        [_SUBSTITUTION * (1.0 - slot.share(p.phone)) for p in voter.phones]
        for slot in slots
    ]
    swaps = np.array(shares).reshape(len(slots), len(voter.phones))
    skips = np.array([_GAP * (1.0 - slot.share(None)) for slot in slots], np.float64)
    joined = []
    for place, number in _align(swaps, skips):
        said = slots[place].said if place >= 0 else [(None, before)]
        phone = voter.phones[number] if number >= 0 else None
        joined.append(_Slot([*said, (phone, voter.weight)]))
    return joined


def _winner(
    slot: _Slot, vote_weight: float, null_confidence: float
) -> PhoneInterval | None:
    """What stands in a slot: the phone of the highest score, or nothing.

    The score is vote_weight * share of votes + (1 - vote_weight) * confidence, the mean over
    those who voted for it; ties go to the more confident, then to nothing.
    """
    total = sum(weight for _, weight in slot.said)
    chosen: tuple[float, float] | None = None
    winner: PhoneInterval | None = None
    names = dict.fromkeys(None if p is None else p.phone for p, _ in slot.said)
    for name in sorted(names, key=lambda n: (n is not None, n or "")):
        votes = [
            (p, w) for p, w in slot.said if (None if p is None else p.phone) == name
        ]
        weight = sum(w for _, w in votes)
        sure = null_confidence
        if name is not None:
            certainty = (
                (1.0 if p.confidence is None else p.confidence, w)
                for p, w in votes
                if p is not None
            )
            sure = sum(c * w for c, w in certainty) / weight
        score = vote_weight * weight / total + (1.0 - vote_weight) * sure
        if chosen is not None and (score, sure) <= chosen:
            continue
        chosen, winner = (score, sure), None
        if name is not None:
            start = sum(p.start * w for p, w in votes if p is not None) / weight
            end = sum(p.end * w for p, w in votes if p is not None) / weight
            winner = PhoneInterval(name, start, end, weight / total)
    return winner


def vote(
    voters: Sequence[Voter], *, vote_weight: float = 1.0, null_confidence: float = 0.0
) -> list[PhoneInterval]:
    """The phones that several hypotheses of an utterance agree on.

    Hypotheses join a row of slots one by one, each aligned to what was said before: a phone
    costs less where more have it. In every slot the best score wins.

    Args:
        voters: hypotheses; the first orders the slots, so the best should come first.
        vote_weight: from 0 (confidences alone) to 1 (votes alone, ties to the more confident).
        null_confidence: of nothing in a slot, from 0 to 1.

    Returns:
        Phones with the mean times of those who voted for them and the share of votes as
        confidence. Where mean times overlap, a phone begins where the one before ends.

    References:
        Fiscus 1997, A post-processing system to yield reduced word error rates: ROVER.
    """
    slots = [_Slot([(phone, voters[0].weight)]) for phone in voters[0].phones]
    before = voters[0].weight
    for voter in voters[1:]:
        slots = _joined(slots, voter, before)
        before += voter.weight
    found: list[PhoneInterval] = []
    for slot in slots:
        winner = _winner(slot, vote_weight, null_confidence)
        if winner is not None:
            start = max(winner.start, found[-1].end) if found else winner.start
            end = max(winner.end, start + _SHORTEST)
            found.append(PhoneInterval(winner.phone, start, end, winner.confidence))
    return found
