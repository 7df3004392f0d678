"""The n best phone sequences of an utterance, by Viterbi with several paths a place."""

from typing import NamedTuple

import numba
import numpy as np

from pipeline.decoding.hmm import Network, check_room, check_scores, heard_as, with_room
from pipeline.decoding.tokens import Token
from pipeline.decoding.viterbi import Phones, decode_frames

_PENDING = -3  # less the record before (-1 or more): no record's number
_PRIME = np.uint64(1099511628211)  # FNV's: sequences are told apart by 64 bits
_NONE = -1


class _Lists(NamedTuple):
    """Lists of paths, each best first; of one phone sequence a list holds only the best path.

    Attributes:
        scores: [M, K] float64; -inf where a list is shorter.
        names: [M, K] uint64, telling sequences apart.
        records: [M, K] int32, the last record of a path.
    """

    scores: np.ndarray
    names: np.ndarray
    records: np.ndarray


@numba.njit(cache=True, nogil=True)
def _lists(number: int, count: int) -> _Lists:
    return _Lists(
        np.full((number, count), -np.inf),
        np.zeros((number, count), np.uint64),
        np.full((number, count), _NONE, np.int32),
    )


@numba.njit(cache=True, nogil=True)
def _insert(
    lists: _Lists, row: int, score: float, name: np.uint64, record: int
) -> bool:
    """Puts a path in its place in a list; returns whether it is good enough."""
    scores, names, records = lists
    place = scores.shape[1] - 1
    if score <= scores[row, place]:
        return False
    for other in range(place):
        if scores[row, other] == -np.inf:
            place = other
            break
        if names[row, other] == name:
            if scores[row, other] >= score:
                return False
            place = other
            break
    while place > 0 and scores[row, place - 1] < score:
        scores[row, place] = scores[row, place - 1]
        names[row, place] = names[row, place - 1]
        records[row, place] = records[row, place - 1]
        place -= 1
    scores[row, place], names[row, place], records[row, place] = score, name, record
    return True


@numba.njit(cache=True, nogil=True)
def _begin(net: Network, ways: _Lists) -> None:
    """The ways into the first phones."""
    for phone in range(net.targets.shape[1]):
        target = net.targets[net.start, phone]
        _insert(ways, target, net.costs[net.start, phone], np.uint64(phone + 1), _NONE)


@numba.njit(cache=True, nogil=True)
def _leave(
    net: Network, paths: _Lists, frame: np.ndarray, beam: float, ways: _Lists
) -> None:
    """Collects the K best ways into each place from the ends of others.

    Those that come out below the best path that stays where it is by more than the beam are
    not taken: they would be given up after this frame.
    """
    states, bound = net.states, -np.inf
    for place in range(len(net.rows)):
        end = (place + 1) * net.length - 1
        heard = frame[net.phones[place] * states + states - 1]
        bound = max(bound, paths.scores[end, 0] + heard)
    bound -= beam
    for place in range(len(net.rows)):
        row, end = net.rows[place], (place + 1) * net.length - 1
        for rank in range(paths.scores.shape[1]):
            score = paths.scores[end, rank]
            if score == -np.inf:
                break
            name, record = paths.names[end, rank], paths.records[end, rank]
            for phone in range(net.targets.shape[1]):
                total = score + net.costs[row, phone]
                if total + frame[phone * states] >= bound:
                    new = name * _PRIME + np.uint64(phone + 1)
                    _insert(ways, net.targets[row, phone], total, new, record)


@numba.njit(cache=True, nogil=True)
def _walk(
    net: Network,
    paths: _Lists,
    frame: np.ndarray,
    place: int,
    ways: _Lists,
) -> float:
    """Moves one place's paths on by a frame; returns the best score among them.

    A path that enters has the record `_PENDING` - the record before.
    """
    base, top = net.phones[place] * net.states, -np.inf
    count = paths.scores.shape[1]
    for copy in range(net.length - 1, -1, -1):
        at = place * net.length + copy
        state, repeats = heard_as(copy, net.length, net.states)
        if not repeats:
            for rank in range(count):
                paths.scores[at, rank] = -np.inf
        for rank in range(count):
            if copy > 0:
                score, name = paths.scores[at - 1, rank], paths.names[at - 1, rank]
                record = paths.records[at - 1, rank]
            else:
                score, name = ways.scores[place, rank], ways.names[place, rank]
                record = _PENDING - ways.records[place, rank]
            if score == -np.inf:
                break
            _insert(paths, at, score, name, record)
        for rank in range(count):
            paths.scores[at, rank] += frame[base + state]
        top = max(top, paths.scores[at, 0])
    return top


@numba.njit(cache=True, nogil=True)
def _keep(
    net: Network,
    paths: _Lists,
    history: np.ndarray,
    used: int,
    time: int,
    bound: float,
) -> tuple[np.ndarray, int]:
    """Forgets paths below the bound; writes the records of phones that began."""
    history = with_room(history, used, len(net.rows) * paths.scores.shape[1])
    for at in range(len(paths.scores)):
        for rank in range(paths.scores.shape[1]):
            if paths.scores[at, rank] == -np.inf:
                break
            if paths.scores[at, rank] < bound:
                paths.scores[at, rank] = -np.inf
            elif paths.records[at, rank] < _NONE:
                history[used, 0] = net.phones[at // net.length]
                history[used, 1] = time
                history[used, 2] = _PENDING - paths.records[at, rank]
                paths.records[at, rank] = used
                used += 1
    return history, used


@numba.njit(cache=True, nogil=True)
def _search(
    net: Network, frames: np.ndarray, count: int, beam: float
) -> tuple[_Lists, np.ndarray]:
    """The best sequences, one list [1, K], and all records [R, 3]."""
    places, length = len(net.rows), net.length
    paths, ways = _lists(places * length, count), _lists(places, count)
    # Of the type it will have: what takes a constant is compiled for it, and then again.
    used = np.int64(0)
    history = np.empty((places * count, 3), np.int32)
    for time in range(len(frames)):
        ways.scores[:] = -np.inf
        if time == 0:
            _begin(net, ways)
        else:
            _leave(net, paths, frames[time], beam, ways)
        top = -np.inf
        for place in range(places):
            top = max(top, _walk(net, paths, frames[time], place, ways))
        history, used = _keep(net, paths, history, used, time, top - beam)
    found = _lists(1, count)
    for place in range(places):
        at = (place + 1) * length - 1
        for rank in range(count):
            score = paths.scores[at, rank] + net.final[net.rows[place]]
            _insert(found, 0, score, paths.names[at, rank], paths.records[at, rank])
    return found, history


def nbest_frames(
    log_likelihoods: np.ndarray,
    network: Network,
    *,
    count: int,
    beam: float = np.inf,
) -> list[Phones]:
    """The most likely phone sequences of an utterance, each on its best path, best first.

    A place keeps its `count` best paths of different sequences. None of the best `count`
    sequences is lost by that: were it not among those of a place on its way, as many better
    ones would end as it does.

    Args:
        log_likelihoods: [T, V * states], scaled.
        network: the grammar and HMMs, weight and penalty applied.
        count: how many at most, >= 1.
        beam: paths worse than the best by more than this, in nats, are given up.

    Returns:
        At most `count` different sequences; fewer when there are no more. One when T is too
        short for any phone.

    Raises:
        DataError: scores are NaN, or not as many a frame as the network has states; or an
            exact search would be too large.

    References:
        Schwartz & Chow 1990, the exact n-best algorithm.
    """
    scores = check_scores(log_likelihoods, network.targets.shape[1] * network.states)
    if len(scores) < network.length:
        return [decode_frames(scores, network)]
    if beam == np.inf:
        check_room(network, len(scores), paths=count)
    best, history = _search(network, scores, count, beam)
    if best.scores[0, 0] == -np.inf:
        return [decode_frames(scores, network, beam=beam)]
    found = []
    for total, record in zip(
        best.scores[0].tolist(), best.records[0].tolist(), strict=True
    ):
        if total == -np.inf:
            break
        tokens, end = [], len(scores)
        while record >= 0:
            phone, start, record = history[record].tolist()
            tokens.append(Token(phone, start, end))
            end = start
        found.append(Phones(tokens[::-1], total))
    return found
