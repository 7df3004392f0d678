"""Forced alignment: the best path of a known transcript through posteriors."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numba
import numpy as np

from features.errors import DataError, counted
from pipeline.decoding.tokens import Token, runs

Variants = Sequence[Sequence[int]]


@dataclass
class _Graph:
    """Nodes in topological order: one for every frame that a phone must last.

    Attributes:
        labels: what a node is heard as.
        repeats: whether a node may last.
        links: nodes that may come before each; -1 is the start.
    """

    labels: list[int] = field(default_factory=list)
    repeats: list[bool] = field(default_factory=list)
    links: list[list[int]] = field(default_factory=list)

    def chain(
        self, phones: Sequence[int], before: list[int], states: int, length: int
    ) -> list[int]:
        """Adds phones in a row behind the nodes `before`; returns what the next come behind."""
        for phone in phones:
            for copy in range(length):
                state = min(copy * states // length, states - 1)
                following = min((copy + 1) * states // length, states)
                self.labels.append(phone * states + state)
                self.repeats.append(copy == length - 1 or following > state)
                self.links.append(before)
                before = [len(self.labels) - 1]
        return before


_START = -1


def _build(
    words: Sequence[Variants], silence: int | None, states: int, length: int
) -> tuple[_Graph, list[int]]:
    """The graph of a transcript, silence optional between words; and its last nodes."""
    graph = _Graph()
    exits = [_START]
    for variants in words:
        if silence is not None:
            exits = exits + graph.chain([silence], exits, states, length)
        exits = [
            node
            for variant in variants
            for node in graph.chain(variant, exits, states, length)
        ]
    if silence is not None:
        exits = exits + graph.chain([silence], exits, states, length)
    return graph, exits


@numba.njit(cache=True, nogil=True)
def _best_path(
    scores: np.ndarray,
    labels: np.ndarray,
    repeats: np.ndarray,
    links: np.ndarray,
    exits: np.ndarray,
) -> np.ndarray:
    """Node of every frame; the first is -1 when no path fits. Links are padded with -2."""
    frames, nodes = scores.shape[0], labels.shape[0]
    best = np.full(nodes, -np.inf)
    came = np.full((frames, nodes), -1, np.int32)
    for node in range(nodes):
        for link in links[node]:
            if link == -1:
                best[node] = scores[0, labels[node]]
    for time in range(1, frames):
        new = np.full(nodes, -np.inf)
        for node in range(nodes):
            value, source = -np.inf, -1
            if repeats[node]:
                value, source = best[node], node
            for link in links[node]:
                if link >= 0 and best[link] > value:
                    value, source = best[link], link
            new[node] = value + scores[time, labels[node]]
            came[time, node] = source
        best = new
    path = np.full(frames, -1, np.int32)
    top, node = -np.inf, -1
    for candidate in exits:
        if candidate >= 0 and best[candidate] > top:
            top, node = best[candidate], candidate
    if node < 0:
        return path
    for time in range(frames - 1, -1, -1):
        path[time] = node
        node = came[time, node]
    return path


def _padded(links: list[list[int]]) -> np.ndarray:
    widest = max(map(len, links))
    return np.array([row + [-2] * (widest - len(row)) for row in links], np.int32)


def _checked(scores: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """The scores as the search wants them; it reads memory by label, so these are checked.

    Raises:
        DataError: there is no frame, a score is NaN, or a label lies outside of the scores.
    """
    if scores.ndim != 2 or not len(scores):
        raise DataError(f"expected scores of shape [T, S], got {list(scores.shape)}")
    if min(labels) < 0 or max(labels) >= scores.shape[1]:
        raise DataError(
            f"labels {min(labels)} to {max(labels)} do not fit {scores.shape[1]} scores a "
            "frame; the model and the lang dir have different phones"
        )
    if np.isnan(scores).any():
        raise DataError("the model's scores hold NaN; train it again")
    return np.ascontiguousarray(scores, np.float32)


def align_transcript(
    log_likelihoods: np.ndarray,
    words: Sequence[Variants],
    *,
    silence: int | None,
    states_per_phone: int = 1,
    min_frames: int = 1,
) -> np.ndarray:
    """The best labels of the frames of a known transcript.

    Args:
        log_likelihoods: [T, V * states] float32.
        words: for every word its variants, each as phone ids.
        silence: phone that may stand between words and at both ends; None nowhere.
        states_per_phone: states, walked from first to last.
        min_frames: frames a phone lasts at least.

    Returns:
        [T] int32 state ids, phone * states + state.

    Raises:
        DataError: the transcript is empty or longer than the frames, or the scores are NaN
            or of another width.
    """
    length = max(states_per_phone, min_frames)
    graph, exits = _build(words, silence, states_per_phone, length)
    if not graph.labels:
        raise DataError("the transcript is empty; add its words to text")
    labels = np.array(graph.labels, np.int32)
    path = _best_path(
        _checked(log_likelihoods, graph.labels),
        labels,
        np.array(graph.repeats),
        _padded(graph.links),
        np.array(exits, np.int32),
    )
    if path[0] < 0:
        shortest = sum(min(map(len, variants)) for variants in words) * length
        if shortest <= len(path):
            raise DataError("every path has probability 0; train the model again")
        raise DataError(
            f"{counted(shortest // length, 'phone')} for {counted(len(path), 'frame')}, at least "
            f"{shortest} needed; lower min_frames or remove the utterance"
        )
    return labels[path]


def _path_ctc(log_probs: np.ndarray, phones: Sequence[int]) -> np.ndarray:
    """The node of every frame on the best path of a sequence: 2 k + 1 is phone k, others blanks.

    Raises:
        DataError: the sequence is empty or longer than the frames, or the scores are NaN
            or of another width.
    """
    if not phones:
        raise DataError("the transcript is empty; add its words to text")
    blank = log_probs.shape[-1] - 1
    labels = [blank]
    links = [[_START]]
    for number, phone in enumerate(phones):
        last_phone, last_blank = len(labels) - 2, len(labels) - 1
        behind = [last_blank] + ([_START] if number == 0 else [])
        if number and phones[number - 1] != phone:
            behind.append(last_phone)
        labels += [phone, blank]
        links += [behind, [len(labels) - 2]]
    path = _best_path(
        _checked(log_probs, labels),
        np.array(labels, np.int32),
        np.ones(len(labels), np.bool_),
        _padded(links),
        np.array([len(labels) - 1, len(labels) - 2], np.int32),
    )
    if path[0] < 0:
        raise DataError(
            f"{counted(len(phones), 'phone')} for {counted(len(path), 'frame')}, more needed; "
            "remove the utterance"
        )
    return path


def locate_ctc(log_probs: np.ndarray, phones: Sequence[int]) -> list[Token]:
    """Where a CTC model hears each phone of a sequence.

    Args:
        log_probs: [T, V + 1], the blank last.
        phones: ids in order, perhaps none.

    Returns:
        Tokens over the frames that the best path does not give to blanks.

    Raises:
        DataError: the sequence is longer than the frames.
    """
    if not phones:
        return []
    found = runs(_path_ctc(log_probs, phones))
    return [
        Token(phones[run.phone // 2], run.start, run.end)
        for run in found
        if run.phone % 2
    ]


def align_ctc(log_probs: np.ndarray, phones: Sequence[int]) -> np.ndarray:
    """The best labels of the frames of a known sequence by a CTC model.

    Frames of blanks go half to the phone before and half to the phone after them.

    Args:
        log_probs: [T, V + 1], the blank last.
        phones: ids in order.

    Returns:
        [T] int32 phone ids.

    Raises:
        DataError: the sequence is empty or longer than the frames, or the scores are NaN
            or of another width.
    """
    path = _path_ctc(log_probs, phones)
    spoken = np.flatnonzero(path % 2)
    middles = (spoken[1:] + spoken[:-1] + 1) // 2
    nearest = np.searchsorted(middles, np.arange(len(path)), side="right")
    return np.array(phones, np.int32)[path[spoken[nearest]] // 2]
