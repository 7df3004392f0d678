"""The step of the Viterbi search: living paths move on by frames, the unlikely are forgotten."""

from typing import NamedTuple

import numba
import numpy as np

from pipeline.decoding.hmm import Network, heard_as, with_room

_PENDING = -3  # less the record before (-1 or more): no record's number


class Paths(NamedTuple):
    """The paths that are alive after some frames.

    A record is one phone on a path: which, from which frame, after which record (-1: none).

    Attributes:
        scores: [N, length] float64 of the best path that ends in each copy.
        records: [N, length] int32, the last record of that path.
        alive: [N] int32 places with a path, the first `counts[0]` of them.
        history: [R, 3] int32 records: phone, first frame, the one before; `counts[1]` used.
        counts: [2] int64.
    """

    scores: np.ndarray
    records: np.ndarray
    alive: np.ndarray
    history: np.ndarray
    counts: np.ndarray


class Ways(NamedTuple):
    """The best ways into places at one frame.

    Attributes:
        scores: [N] float64; -inf for a place that nothing leads to.
        records: [N] int32, the last record of the path that enters.
        places: [N] int32, those that can be entered, in no order.
    """

    scores: np.ndarray
    records: np.ndarray
    places: np.ndarray


@numba.njit(cache=True, nogil=True)
def _likely(
    frame: np.ndarray, states: int, best: float, bound: float, ranked: bool
) -> np.ndarray:
    """The phones that the best way leads into at no less than the bound, likeliest first.

    Where `ranked` is false they come in no order.
    """
    phones, count = np.empty(len(frame) // states, np.int64), 0
    for phone in range(len(phones)):
        heard = frame[phone * states]
        if best + heard < bound:
            continue
        place = count
        while ranked and place > 0 and frame[phones[place - 1] * states] < heard:
            phones[place] = phones[place - 1]
            place -= 1
        phones[place] = phone
        count += 1
    return phones[:count]


@numba.njit(cache=True, nogil=True)
def _leave(
    net: Network, paths: Paths, frame: np.ndarray, top: float, beam: float, ways: Ways
) -> int:
    """Finds the best way into each place from the ends of others.

    Ways that will surely be given up after this frame are not taken: those that come out
    below the best path that stays where it is by more than the beam.

    Returns:
        How many places can be entered.
    """
    last, states, count = net.length - 1, net.states, 0
    leaving = paths.alive[: paths.counts[0]]
    bound = best = -np.inf
    ahead = 0
    for number, place in enumerate(leaving):
        score = paths.scores[place, last]
        bound = max(bound, score + frame[net.phones[place] * states + states - 1])
        best = max(best, score + net.cheapest[net.rows[place]])
        if score > paths.scores[leaving[ahead], last]:
            ahead = number
    bound -= beam
    if len(net.targets) == 1:
        # All phones leave alike: the best path is the best way into each.
        leaving = leaving[ahead : ahead + 1]
    likely = _likely(frame, states, best, bound, len(leaving) > 1)
    for place in leaving:
        score = paths.scores[place, last]
        if score == -np.inf or score < top - beam:
            continue
        row, record = net.rows[place], paths.records[place, last]
        hope = score + net.cheapest[row]
        for phone in likely:
            if hope + frame[phone * states] < bound:
                break
            total = score + net.costs[row, phone]
            if total + frame[phone * states] < bound:
                continue
            target = net.targets[row, phone]
            if total > ways.scores[target]:
                if ways.scores[target] == -np.inf:
                    ways.places[count] = target
                    count += 1
                ways.scores[target] = total
                ways.records[target] = record
    return count


@numba.njit(cache=True, nogil=True)
def _begin(net: Network, ways: Ways) -> int:
    """The ways into the first phones; returns their number."""
    for phone in range(net.targets.shape[1]):
        target = net.targets[net.start, phone]
        ways.scores[target] = net.costs[net.start, phone]
        ways.records[target] = -1
        ways.places[phone] = target
    return net.targets.shape[1]


@numba.njit(cache=True, nogil=True)
def _walk(
    net: Network,
    paths: Paths,
    frame: np.ndarray,
    place: int,
    ways: Ways,
) -> float:
    """Moves one place's paths on by a frame; returns the best score among them.

    A path that enters has the record `_PENDING` - origin until it is known to survive.
    """
    base = net.phones[place] * net.states
    top = -np.inf
    for copy in range(net.length - 1, -1, -1):
        state, repeats = heard_as(copy, net.length, net.states)
        value, record = -np.inf, -1
        if repeats:
            value, record = paths.scores[place, copy], paths.records[place, copy]
        if copy == 0:
            if ways.scores[place] > value:
                value, record = ways.scores[place], _PENDING - ways.records[place]
        elif paths.scores[place, copy - 1] > value:
            value, record = (
                paths.scores[place, copy - 1],
                paths.records[place, copy - 1],
            )
        value += frame[base + state]
        paths.scores[place, copy] = value
        paths.records[place, copy] = record
        top = max(top, value)
    return top


@numba.njit(cache=True, nogil=True)
def _keep(
    net: Network, paths: Paths, bests: np.ndarray, bound: float, time: int
) -> Paths:
    """Forgets places below the bound and writes the records of phones that began."""
    history, kept = paths.history, 0
    used = paths.counts[1]
    for number in range(paths.counts[0]):
        place = paths.alive[number]
        if bests[place] == -np.inf or bests[place] < bound:
            paths.scores[place] = -np.inf
            continue
        paths.alive[kept] = place
        kept += 1
        if paths.records[place, 0] < -1:
            history = with_room(history, used, 1)
            history[used, 0] = net.phones[place]
            history[used, 1] = time
            history[used, 2] = _PENDING - paths.records[place, 0]
            paths.records[place, 0] = used
            used += 1
    paths.counts[0] = kept
    paths.counts[1] = used
    return Paths(paths.scores, paths.records, paths.alive, history, paths.counts)


@numba.njit(cache=True, nogil=True)
def advance(
    net: Network, paths: Paths, scores: np.ndarray, first: int, beam: float
) -> Paths:
    """Moves the paths on by the frames `scores` [T, V * states], the first being `first`."""
    places = len(net.rows)
    ways = Ways(
        np.full(places, -np.inf),
        np.full(places, -1, np.int32),
        np.empty(places, np.int32),
    )
    bests = np.full(places, -np.inf)
    living = np.zeros(places, np.bool_)
    top = -np.inf
    for place in paths.alive[: paths.counts[0]]:
        living[place] = True
        for copy in range(net.length):
            top = max(top, paths.scores[place, copy])
    for step in range(len(scores)):
        if first + step == 0:
            entered = _begin(net, ways)
        else:
            entered = _leave(net, paths, scores[step], top, beam, ways)
        for place in ways.places[:entered]:
            if not living[place]:
                living[place] = True
                paths.alive[paths.counts[0]] = place
                paths.counts[0] += 1
        top = -np.inf
        for place in paths.alive[: paths.counts[0]]:
            bests[place] = _walk(net, paths, scores[step], place, ways)
            top = max(top, bests[place])
            ways.scores[place] = -np.inf
            living[place] = False
        paths = _keep(net, paths, bests, top - beam, first + step)
        for place in paths.alive[: paths.counts[0]]:
            living[place] = True
    return paths


@numba.njit(cache=True, nogil=True)
def traced(history: np.ndarray, record: int) -> np.ndarray:
    """The phones that a record is the last of, and their first frames, in order: [2, N]."""
    count, at = 0, record
    while at >= 0:
        count, at = count + 1, history[at, 2]
    found, at = np.empty((2, count), np.int32), record
    for number in range(count - 1, -1, -1):
        found[0, number] = history[at, 0]
        found[1, number] = history[at, 1]
        at = history[at, 2]
    return found
