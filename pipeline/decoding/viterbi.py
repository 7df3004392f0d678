"""Viterbi decoding over phone HMMs with an n-gram of any order."""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from features.errors import DataError
from pipeline.decoding.hmm import Network, check_scores, heard_as
from pipeline.decoding.tokens import Token

_ROOM = 4096  # records to begin with; doubled as needed
_PENDING = -3  # less the record before (-1 or more): no record's number


class _Paths(NamedTuple):
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


class _Ways(NamedTuple):
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
def _leave(
    net: Network, paths: _Paths, frame: np.ndarray, top: float, beam: float, ways: _Ways
) -> int:
    """Finds the best way into each place from the ends of others.

    Ways that will surely be given up after this frame are not taken: those that come out
    below the best path that stays where it is by more than the beam.

    Returns:
        How many places can be entered.
    """
    last, states, count = net.length - 1, net.states, 0
    bound = -np.inf
    for place in paths.alive[: paths.counts[0]]:
        heard = frame[net.phones[place] * states + states - 1]
        bound = max(bound, paths.scores[place, last] + heard)
    bound -= beam
    likely = np.arange(net.targets.shape[1])
    if beam < np.inf:  # likeliest first: the rest can be passed over together
        likely = np.argsort(-frame[::states])
    for place in paths.alive[: paths.counts[0]]:
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
def _begin(net: Network, ways: _Ways) -> int:
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
    paths: _Paths,
    frame: np.ndarray,
    place: int,
    ways: _Ways,
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
    net: Network, paths: _Paths, bests: np.ndarray, bound: float, time: int
) -> _Paths:
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
            if used == len(history):
                grown = np.empty((2 * used, 3), np.int32)
                grown[:used] = history
                history = grown
            history[used, 0] = net.phones[place]
            history[used, 1] = time
            history[used, 2] = _PENDING - paths.records[place, 0]
            paths.records[place, 0] = used
            used += 1
    paths.counts[0] = kept
    paths.counts[1] = used
    return _Paths(paths.scores, paths.records, paths.alive, history, paths.counts)


@numba.njit(cache=True, nogil=True)
def _advance(
    net: Network, paths: _Paths, scores: np.ndarray, first: int, beam: float
) -> _Paths:
    """Moves the paths on by the frames `scores` [T, V * states], the first being `first`."""
    places = len(net.rows)
    ways = _Ways(
        np.full(places, -np.inf),
        np.full(places, -1, np.int32),
        np.empty(places, np.int32),
    )
    bests = np.full(places, -np.inf)
    living = np.zeros(places, np.bool_)
    top = -np.inf
    for place in paths.alive[: paths.counts[0]]:
        living[place] = True
        top = max(top, paths.scores[place].max())
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


@dataclass(frozen=True)
class Phones:
    """Phones found so far.

    Attributes:
        tokens: in order; the last ends at the last frame seen.
        score: of their path.
    """

    tokens: list[Token]
    score: float


class Search:
    """A search that hears an utterance in any number of pieces.

    Args:
        network: the grammar and HMMs.
        beam: paths worse than the best by more than this, in nats, are given up; infinite
            for an exact search.
    """

    def __init__(self, network: Network, *, beam: float = np.inf) -> None:
        self._network = network
        self._beam = beam
        self.frames = 0
        places, length = len(network.rows), network.length
        self._paths = _Paths(
            np.full((places, length), -np.inf),
            np.full((places, length), -1, np.int32),
            np.empty(places, np.int32),
            np.empty((_ROOM, 3), np.int32),
            np.zeros(2, np.int64),
        )

    def hear(self, log_likelihoods: np.ndarray) -> None:
        """Goes on by some frames [T, V * states] float32, scaled; without NaN."""
        self._paths = _advance(
            self._network, self._paths, log_likelihoods, self.frames, self._beam
        )
        self.frames += len(log_likelihoods)

    def _tokens(self, record: int, end: int) -> list[Token]:
        tokens = []
        while record >= 0:
            phone, start, before = self._paths.history[record].tolist()
            tokens.append(Token(phone, start, end))
            record, end = before, start
        return tokens[::-1]

    def best(self) -> Phones | None:
        """The best path that ends here; None when no path can end here."""
        net, paths = self._network, self._paths
        alive = paths.alive[: paths.counts[0]]
        ends = paths.scores[alive, net.length - 1] + net.final[net.rows[alive]]
        if not len(ends) or ends.max() == -np.inf:
            return None
        place = alive[ends.argmax()]
        record = int(paths.records[place, net.length - 1])
        return Phones(self._tokens(record, self.frames), float(ends.max()))

    def _shared(self) -> int:
        """The last record that all living paths share; -1 when there is none."""
        paths = self._paths
        alive = paths.alive[: paths.counts[0]]
        living = paths.scores[alive] > -np.inf
        tips = {int(record) for record in paths.records[alive][living]}
        # Records are numbered in the order of time: the latest tip steps back until all meet.
        while len(tips) > 1:
            latest = max(tips)
            tips.remove(latest)
            tips.add(int(paths.history[latest, 2]))
        return tips.pop() if tips else -1

    def certain(self) -> list[Token]:
        """The phones that all living paths share: no later frame can change them.

        Of the last shared phone only the start is certain, so it is left out. An exact search
        of order 3 or more keeps a path through every history and may never be certain.
        """
        shared = self._shared()
        if shared < 0:
            return []
        start, before = self._paths.history[shared, 1:].tolist()
        return self._tokens(before, start)

    def settle(self) -> list[Token]:
        """The phones that became certain; they are told once and forgotten.

        What `certain` and `best` tell afterwards begins behind them, and memory does not grow
        with the length of what is heard.
        """
        tokens, shared, paths = self.certain(), self._shared(), self._paths
        if shared > 0:
            kept = paths.history[shared : paths.counts[1]].copy()
            kept[:, 2] = np.maximum(kept[:, 2] - shared, -1)
            paths.history[: len(kept)] = kept
            np.maximum(paths.records - shared, -1, out=paths.records)
            paths.counts[1] = len(kept)
        return tokens


def decode_frames(
    log_likelihoods: np.ndarray, network: Network, *, beam: float = np.inf
) -> Phones:
    """The most likely phone sequence of an utterance.

    Args:
        log_likelihoods: [T, V * states], scaled; state k of phone p at p * states + k.
        network: the grammar and HMMs, weight and penalty applied.
        beam: paths worse than the best by more than this, in nats, are given up; infinite
            for an exact search.

    Returns:
        Tokens, and the score of their path. When T is too short for any phone, one token: the
        phone of the best states, as if it were cut short; when T is 0, none, and -inf.

    Raises:
        DataError: scores are NaN, or not as many a frame as the network has states.

    References:
        Viterbi 1967; Robinson, Hochberg & Renals 1996 for posteriors as scaled likelihoods.
    """
    states = network.states
    scores = check_scores(log_likelihoods, network.targets.shape[1] * states)
    if not len(scores):
        return Phones([], -np.inf)
    if len(scores) < network.length:
        heard = scores.reshape(len(scores), -1, states).max(axis=2).sum(axis=0)
        phone = int(heard.argmax())
        behind = network.rows[network.targets[network.start, phone]]
        score = heard[phone] + network.costs[network.start, phone]
        score += network.final[behind]
        return Phones([Token(phone, 0, len(scores))], float(score))
    search = Search(network, beam=beam)
    search.hear(scores)
    found = search.best()
    if found is None:  # all paths that could end were given up, or none has a chance
        search = Search(network)
        search.hear(scores)
        found = search.best()
    if found is None:
        raise DataError(
            "every path has probability 0; see whether the language model gives it to phones, "
            "or else train the model again"
        )
    return found
