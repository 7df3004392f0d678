"""CTC prefix beam search with an n-gram."""

from dataclasses import dataclass

import numba
import numpy as np

from pipeline.decoding.grammar import Grammar

_ROOM = 1024  # prefixes to begin with; doubled as needed
_NONE = -1


@dataclass(frozen=True)
class Prefix:
    """A phone sequence that CTC found.

    Attributes:
        phones: ids.
        score: scaled log probability over all its alignments, and the grammar's.
    """

    phones: list[int]
    score: float


@numba.njit(cache=True, nogil=True)
def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


@numba.njit(cache=True, nogil=True)
def _offer(
    totals: np.ndarray, choices: np.ndarray, count: int, total: float, choice: int
) -> int:
    """Puts a choice that is possible among the best [W], best first; returns their number."""
    width = len(totals)
    if total == -np.inf:
        return count
    if count == width:
        if total <= totals[width - 1]:
            return count
        count -= 1
    place = count
    while place > 0 and totals[place - 1] < total:
        totals[place], choices[place] = totals[place - 1], choices[place - 1]
        place -= 1
    totals[place], choices[place] = total, choice
    return count + 1


@numba.njit(cache=True, nogil=True)
def _grown(table: np.ndarray, rows: int) -> np.ndarray:
    """The table with room for as many rows; new ones are -1."""
    bigger = np.full((rows, table.shape[1]), _NONE, table.dtype)
    bigger[: len(table)] = table
    return bigger


@numba.njit(cache=True, nogil=True)
def _search(
    frames: np.ndarray,
    start: int,
    following: np.ndarray,
    costs: np.ndarray,
    final: np.ndarray,
    scale: float,
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Totals [W] and prefixes [W] of the best, and all prefixes [P, 3]: phone, parent, row."""
    phones = costs.shape[1]
    tree = np.full((_ROOM, 3), _NONE, np.int32)
    children = np.full((_ROOM, phones), _NONE, np.int32)
    slots = np.full((_ROOM, 1), _NONE, np.int32)  # place in the beam
    lm = np.zeros(_ROOM)  # what grammar and penalty add
    tree[0, 2], used = start, 1
    beam = np.zeros(width, np.int32)  # prefixes in it
    count = 1
    # Log probability of all alignments that end in a blank, and in the last phone.
    blank, label = np.full(width, -np.inf), np.full(width, -np.inf)
    blank[0] = 0.0
    totals, choices = np.empty(width), np.empty(width, np.int64)
    for time in range(len(frames)):
        frame = frames[time]
        for slot in range(count):
            slots[beam[slot], 0] = slot
        both = np.empty(count)
        for slot in range(count):
            both[slot] = _add(blank[slot], label[slot])
        next_blank = both + frame[phones]
        next_label = np.full(count, -np.inf)
        for slot in range(count):
            prefix = beam[slot]
            if prefix > 0:
                next_label[slot] = _add(
                    next_label[slot], label[slot] + frame[tree[prefix, 0]]
                )
            parent = tree[prefix, 1]
            if parent != _NONE and slots[parent, 0] != _NONE:
                above = slots[parent, 0]
                same = tree[parent, 0] == tree[prefix, 0] and parent > 0
                ends = blank[above] if same else both[above]
                next_label[slot] = _add(next_label[slot], ends + frame[tree[prefix, 0]])
        kept = 0
        for slot in range(count):
            total = scale * _add(next_blank[slot], next_label[slot]) + lm[beam[slot]]
            kept = _offer(totals, choices, kept, total, -1 - slot)
        for slot in range(count):
            prefix = beam[slot]
            row, base = tree[prefix, 2], lm[prefix]
            for phone in range(phones):
                child = children[prefix, phone]
                if child != _NONE and slots[child, 0] != _NONE:
                    continue
                same = prefix > 0 and tree[prefix, 0] == phone
                ends = blank[slot] if same else both[slot]
                total = scale * (ends + frame[phone]) + base + costs[row, phone]
                kept = _offer(totals, choices, kept, total, slot * phones + phone)
        for slot in range(count):
            slots[beam[slot], 0] = _NONE
        if used + width > len(tree):
            rows = 2 * len(tree) + width
            tree, children = _grown(tree, rows), _grown(children, rows)
            slots = _grown(slots, rows)
            longer = np.zeros(rows)
            longer[:used] = lm[:used]
            lm = longer
        new_beam = np.zeros(width, np.int32)
        new_blank, new_label = np.full(width, -np.inf), np.full(width, -np.inf)
        for place in range(kept):
            choice = choices[place]
            if choice < 0:
                slot = -1 - choice
                new_beam[place] = beam[slot]
                new_blank[place] = next_blank[slot]
                new_label[place] = next_label[slot]
                continue
            slot, phone = choice // phones, choice % phones
            prefix = beam[slot]
            child = children[prefix, phone]
            if child == _NONE:
                child, used = used, used + 1
                row = tree[prefix, 2]
                tree[child, 0], tree[child, 1] = phone, prefix
                tree[child, 2] = following[row, phone]
                lm[child] = lm[prefix] + costs[row, phone]
                children[prefix, phone] = child
            same = prefix > 0 and tree[prefix, 0] == phone
            ends = blank[slot] if same else both[slot]
            new_beam[place] = child
            new_label[place] = ends + frame[phone]
        beam, blank, label, count = new_beam, new_blank, new_label, kept
    last, order = 0, np.empty(width, np.int64)
    for slot in range(count):
        prefix = beam[slot]
        total = (
            scale * _add(blank[slot], label[slot]) + lm[prefix] + final[tree[prefix, 2]]
        )
        last = _offer(totals, order, last, total, prefix)
    return totals[:last], order[:last], tree[:used]


def prefix_beam(
    log_probs: np.ndarray, grammar: Grammar, *, width: int, scale: float = 1.0
) -> list[Prefix]:
    """The most likely phone sequences by CTC and an n-gram, best first.

        score(y) = scale log P(y | x) + G(y)

    G is the grammar's score, weight and penalty applied. P(y | x) sums over the alignments
    whose prefixes stayed in the beam: over all, and so exactly, when `width` is at least the
    number of sequences.

    Args:
        log_probs: [T, V + 1] float32 without NaN, the blank last.
        grammar: of V phones.
        width: prefixes kept after every frame, >= 1.
        scale: of the acoustic log probability, > 0.

    Returns:
        At most `width` different sequences; an empty one among them, when it is likely.

    References:
        Graves 2012, section 7.5.3; Hannun, Maas, Jurafsky & Ng 2014, algorithm 1.
    """
    totals, prefixes, tree = _search(
        np.ascontiguousarray(log_probs, np.float32),
        grammar.start,
        grammar.following,
        grammar.log_probs,
        grammar.final,
        scale,
        width,
    )
    found = []
    for total, prefix in zip(totals.tolist(), prefixes.tolist(), strict=True):
        phones = []
        while prefix > 0:
            phone, prefix, _ = tree[prefix].tolist()
            phones.append(phone)
        found.append(Prefix(phones[::-1], total))
    return found
