"""CTC prefix beam search with an n-gram."""

from dataclasses import dataclass
from typing import NamedTuple

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


class _Tree(NamedTuple):
    """All prefixes that were ever kept; 0 is the empty one.

    Attributes:
        nodes: [P, 3] int32: last phone, prefix without it, grammar's state.
        children: [P, V] int32, the prefix with one more phone; -1 where never kept.
        slots: [P] int32, place in the beam; -1 outside.
        lm: [P] float64, what the grammar adds.
    """

    nodes: np.ndarray
    children: np.ndarray
    slots: np.ndarray
    lm: np.ndarray


class _Beam(NamedTuple):
    """The prefixes that are followed.

    Attributes:
        prefixes: [B] int32.
        blank, label: [B] float64, log probability of all alignments so far that end in a
            blank, and in the prefix's last phone.
        both: [B], of the two together.
    """

    prefixes: np.ndarray
    blank: np.ndarray
    label: np.ndarray
    both: np.ndarray


@numba.njit(cache=True, nogil=True)
def _make_tree(room: int, phones: int) -> _Tree:
    return _Tree(
        np.full((room, 3), _NONE, np.int32),
        np.full((room, phones), _NONE, np.int32),
        np.full(room, _NONE, np.int32),
        np.zeros(room),
    )


@numba.njit(cache=True, nogil=True)
def _with_room(tree: _Tree, used: int, width: int) -> _Tree:
    """The tree, with room for `width` more prefixes."""
    if used + width <= len(tree.slots):
        return tree
    bigger = _make_tree(2 * len(tree.slots) + width, tree.children.shape[1])
    for prefix in range(used):  # assigning slices takes five times as long to compile
        for column in range(tree.nodes.shape[1]):
            bigger.nodes[prefix, column] = tree.nodes[prefix, column]
        for phone in range(tree.children.shape[1]):
            bigger.children[prefix, phone] = tree.children[prefix, phone]
        bigger.slots[prefix] = tree.slots[prefix]
        bigger.lm[prefix] = tree.lm[prefix]
    return bigger


@numba.njit(cache=True, nogil=True)
def _ends(tree: _Tree, beam: _Beam, slot: int, phone: int) -> float:
    """Log probability of a prefix's alignments that a phone can go on from.

    The same phone again must come after a blank, or it would be merged.
    """
    same = tree.nodes[beam.prefixes[slot], 0] == phone
    return beam.blank[slot] if same else beam.both[slot]


@numba.njit(cache=True, nogil=True)
def _stay(tree: _Tree, beam: _Beam, frame: np.ndarray) -> _Beam:
    """The prefixes of the beam a frame later: by a blank, the last phone held, or that phone
    newly said behind a shorter prefix of the beam."""
    blank = beam.both + frame[-1]
    label = np.full(len(blank), -np.inf)
    for slot in range(len(blank)):
        phone, parent, _ = tree.nodes[beam.prefixes[slot]]
        if parent == _NONE:
            continue
        label[slot] = beam.label[slot] + frame[phone]
        above = tree.slots[parent]
        if above != _NONE:
            ends = _ends(tree, beam, above, phone)
            label[slot] = _add(label[slot], ends + frame[phone])
    both = np.empty(len(blank))
    for slot in range(len(blank)):
        both[slot] = _add(blank[slot], label[slot])
    return _Beam(beam.prefixes, blank, label, both)


@numba.njit(cache=True, nogil=True)
def _choose(
    tree: _Tree,
    beam: _Beam,
    later: _Beam,
    frame: np.ndarray,
    costs: np.ndarray,
    scale: float,
    width: int,
) -> np.ndarray:
    """The best prefixes after a frame, at most `width`.

    A prefix of the beam is -1 - slot, one with another phone is slot * V + phone.
    """
    phones = costs.shape[1]
    totals, choices = np.empty(width), np.empty(width, np.int64)
    kept = np.int64(0)
    for slot in range(len(beam.both)):
        total = scale * later.both[slot] + tree.lm[beam.prefixes[slot]]
        kept = _offer(totals, choices, kept, total, -1 - slot)
    for slot in range(len(beam.both)):
        prefix = beam.prefixes[slot]
        last, _, row = tree.nodes[prefix]
        blank, both, lm = beam.blank[slot], beam.both[slot], tree.lm[prefix]
        for phone in range(phones):  # `_ends` written out: this is where time goes
            ends = blank if phone == last else both
            total = scale * (ends + frame[phone]) + lm + costs[row, phone]
            if kept == width and total <= totals[width - 1]:
                continue
            child = tree.children[prefix, phone]
            if child != _NONE and tree.slots[child] != _NONE:
                continue  # `_stay` has it
            kept = _offer(totals, choices, kept, total, slot * phones + phone)
    return choices[:kept]


@numba.njit(cache=True, nogil=True)
def _follow(
    tree: _Tree,
    used: int,
    beam: _Beam,
    later: _Beam,
    frame: np.ndarray,
    following: np.ndarray,
    costs: np.ndarray,
    choices: np.ndarray,
) -> tuple[_Beam, int]:
    """The beam of the chosen prefixes; new ones are put into the tree."""
    count, phones = len(choices), costs.shape[1]
    prefixes = np.empty(count, np.int32)
    blank, label = np.full(count, -np.inf), np.empty(count)
    for place in range(count):
        choice = choices[place]
        if choice < 0:
            slot = -1 - choice
            prefixes[place] = beam.prefixes[slot]
            blank[place], label[place] = later.blank[slot], later.label[slot]
            continue
        slot, phone = choice // phones, choice % phones
        prefix = beam.prefixes[slot]
        child = tree.children[prefix, phone]
        if child == _NONE:
            child, used = used, used + 1
            row = tree.nodes[prefix, 2]
            tree.nodes[child, 0], tree.nodes[child, 1] = phone, prefix
            tree.nodes[child, 2] = following[row, phone]
            tree.lm[child] = tree.lm[prefix] + costs[row, phone]
            tree.children[prefix, phone] = child
        prefixes[place] = child
        label[place] = _ends(tree, beam, slot, phone) + frame[phone]
    for prefix in beam.prefixes:
        tree.slots[prefix] = _NONE
    both = np.empty(count)
    for place in range(count):
        tree.slots[prefixes[place]] = place
        both[place] = _add(blank[place], label[place])
    return _Beam(prefixes, blank, label, both), used


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
    """Totals [B] and prefixes [B] of the best, and all prefixes [P, 3]: phone, parent, row."""
    # Of the type it will have: what takes a constant is compiled for it, and then again.
    used = np.int64(1)
    tree = _make_tree(_ROOM, costs.shape[1])
    tree.nodes[0, 2], tree.slots[0] = start, 0
    zero = np.zeros(1)
    beam = _Beam(np.zeros(1, np.int32), zero, np.full(1, -np.inf), zero)
    for time in range(len(frames)):
        frame = frames[time]
        later = _stay(tree, beam, frame)
        choices = _choose(tree, beam, later, frame, costs, scale, width)
        tree = _with_room(tree, used, width)
        beam, used = _follow(tree, used, beam, later, frame, following, costs, choices)
    count, kept = len(beam.both), np.int64(0)
    totals, order = np.empty(count), np.empty(count, np.int64)
    for slot in range(count):
        prefix = beam.prefixes[slot]
        ending = tree.lm[prefix] + final[tree.nodes[prefix, 2]]
        total = scale * beam.both[slot] + ending
        kept = _offer(totals, order, kept, total, np.int64(prefix))
    return totals[:kept], order[:kept], tree.nodes[:used]


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
