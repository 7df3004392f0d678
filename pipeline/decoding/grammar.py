"""An n-gram model as a graph that a search can walk: one state a history, one arc a phone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.arpa import parse_arpa, read_arpa
from pipeline.decoding.ngram import END, LOG10, START, UNKNOWN, History, Ngram


@dataclass(frozen=True)
class Places:
    """The N pairs of a phone and the state behind it that a search can be in, sorted.

    Attributes:
        states: [N] int32.
        phones: [N] int32.
        targets: [H, V] int32, the pair that a phone leads to from a state.
    """

    states: np.ndarray
    phones: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, following: np.ndarray) -> "Places":
        """The places of a grammar, from its `following`."""
        width = following.shape[1]
        pairs, targets = np.unique(
            following.astype(np.int64) * width + np.arange(width), return_inverse=True
        )
        return cls(
            (pairs // width).astype(np.int32),
            (pairs % width).astype(np.int32),
            targets.reshape(following.shape).astype(np.int32),
        )


@dataclass(frozen=True)
class Grammar:
    """A deterministic automaton over phones; back-off is resolved, so every arc is exact.

    H states stand for histories, V phones lead on from each.

    Attributes:
        start: state before the first phone.
        following: [H, V] int32, state after a state and a phone.
        log_probs: [H, V] float64, natural log of the phone after the state's history.
        final: [H] float64, natural log of the end after the state's history.
        places: where a search can be.
    """

    start: int
    following: np.ndarray
    log_probs: np.ndarray
    final: np.ndarray
    places: Places

    def weighted(self, weight: float, penalty: float) -> "Grammar":
        """The log probabilities times `weight`, less `penalty` for every phone.

        At weight 0 the model says nothing, not even that a phone has probability 0.
        """
        if weight == 0.0:  # and -inf * 0 is NaN
            log_probs, final = np.zeros_like(self.log_probs), np.zeros_like(self.final)
        else:
            log_probs, final = self.log_probs * weight, self.final * weight
        return replace(self, log_probs=log_probs - penalty, final=final)

    def score(self, phones: Iterable[int]) -> float:
        """The log probability of a whole sequence of phone ids, its end included."""
        state, total = self.start, 0.0
        for phone in phones:
            total += self.log_probs[state, phone]
            state = self.following[state, phone]
        return float(total + self.final[state])


def flat_grammar(num_phones: int) -> Grammar:
    """No model at all: every phone after every other at no cost."""
    following = np.zeros((1, num_phones), np.int32)
    return Grammar(
        0, following, np.zeros((1, num_phones)), np.zeros(1), Places.of(following)
    )


def _check_phones(model: Ngram, phones: PhoneTable, source: str) -> None:
    """Checks that model and table have the same phones.

    Raises:
        DataError: they differ (all phones are named).
    """
    listed = {gram[0] for gram in model.log10_probs if len(gram) == 1}
    wanted = {*phones.symbols, END}
    faults = [
        f"{source}: {what}: {' '.join(sorted(names))}; run keraldi lm with this lang dir"
        for names, what in (
            (wanted - listed, "lacks symbols that the model of speech has"),
            (
                listed - wanted - {START} - UNKNOWN,
                "has symbols that the model of speech lacks",
            ),
        )
        if names
    ]
    if faults:
        raise DataError.of(faults)


def _contexts(model: Ngram) -> list[History]:
    """Every history that says more than its own end does, shortest first.

    A history counts when an n-gram goes on from it or it has a back-off weight; so does its
    beginning, for a search can only come to it through that.
    """
    found: set[History] = {()}
    tops = {gram[:-1] for gram in model.log10_probs}
    tops |= {gram for gram in model.log10_backoffs if len(gram) < model.order}
    for history in tops:
        while history and history not in found and END not in history:
            found.add(history)
            history = history[:-1]
    return sorted(found, key=lambda history: (len(history), history))


def make_grammar(
    model: Ngram, phones: PhoneTable, *, source: str = "lm.arpa"
) -> Grammar:
    """The graph of an n-gram model of any order over a phone table.

    Args:
        model: of any order.
        phones: V of them.
        source: the model's file, named in messages.

    Raises:
        DataError: model and table have different phones (all are named).

    References:
        Mohri, Pereira & Riley 2008, section 3, of n-gram automata. Theirs keeps arcs for
        back-off; here they are resolved, for the shortest way through would sometimes back
        off from a listed n-gram.
    """
    _check_phones(model, phones, source)
    contexts = _contexts(model)
    number = {history: index for index, history in enumerate(contexts)}
    column = {symbol: index for index, symbol in enumerate(phones.symbols)}
    ways: list[list[tuple[History, float]]] = [[] for _ in contexts]
    for gram, log10_prob in model.log10_probs.items():
        if gram[:-1] in number:
            ways[number[gram[:-1]]].append((gram, log10_prob))
    following = np.zeros((len(contexts), len(phones)), np.int32)
    log_probs = np.zeros((len(contexts), len(phones)))
    final = np.zeros(len(contexts))
    for state, history in enumerate(contexts):
        if history:
            shorter = history[1:]
            while shorter not in number:
                shorter = shorter[1:]
            lower = number[shorter]
            backoff = model.log10_backoffs.get(history, 0.0) * LOG10
            following[state] = following[lower]
            log_probs[state] = log_probs[lower] + backoff
            final[state] = final[lower] + backoff
        for gram, log10_prob in ways[state]:
            symbol = gram[-1]
            if symbol == END:
                final[state] = log10_prob * LOG10
            elif symbol in column:
                log_probs[state, column[symbol]] = log10_prob * LOG10
        for symbol, index in column.items():
            if (*history, symbol) in number:
                following[state, index] = number[(*history, symbol)]
    places = Places.of(following)
    return Grammar(number.get((START,), 0), following, log_probs, final, places)


def read_grammar(path: str | Path | None, phones: PhoneTable) -> Grammar:
    """The graph of an ARPA file; None is no model of sequences.

    Raises:
        DataError: the file is damaged, or has other phones than the table.
    """
    if path is None:
        return flat_grammar(len(phones))
    return make_grammar(read_arpa(path), phones, source=str(path))


def parse_grammar(arpa: str, phones: PhoneTable, *, source: str) -> Grammar:
    """The graph of what stands in an ARPA file; see `read_grammar`."""
    model = parse_arpa(arpa.split("\n"), source=source)
    return make_grammar(model, phones, source=source)
