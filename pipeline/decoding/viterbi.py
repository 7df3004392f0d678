"""Viterbi decoding over phone HMMs with an n-gram of any order."""

from dataclasses import dataclass

import numpy as np

from features.errors import DataError
from pipeline.decoding.hmm import Network, check_room, check_scores
from pipeline.decoding.paths import Paths, advance, traced
from pipeline.decoding.tokens import Token

_ROOM = 4096  # records to begin with; doubled as needed


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
        self._paths = Paths(
            np.full((places, length), -np.inf),
            np.full((places, length), -1, np.int32),
            np.empty(places, np.int32),
            np.empty((_ROOM, 3), np.int32),
            np.zeros(2, np.int64),
        )

    def hear(self, log_likelihoods: np.ndarray) -> None:
        """Goes on by some frames [T, V * states] float32, scaled; without NaN."""
        self._paths = advance(
            self._network, self._paths, log_likelihoods, self.frames, self._beam
        )
        self.frames += len(log_likelihoods)

    def _tokens(self, record: int, end: int) -> list[Token]:
        """The phones up to a record, the last of which ends before frame `end`."""
        phones, starts = traced(self._paths.history, record).tolist()
        ends = [*starts[1:], end]
        return list(map(Token, phones, starts, ends))

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
        DataError: scores are NaN, or not as many a frame as the network has states; or an
            exact search would be too large.

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
    if beam == np.inf:
        check_room(network, len(scores))
    search = Search(network, beam=beam)
    search.hear(scores)
    found = search.best()
    if found is None:  # all paths that could end were given up, or none has a chance
        check_room(network, len(scores))
        search = Search(network)
        search.hear(scores)
        found = search.best()
    if found is None:
        raise DataError(
            "every path has probability 0; see whether the language model gives it to phones, "
            "or else train the model again"
        )
    return found
