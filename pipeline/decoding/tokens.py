"""Decoded phones and where they stand."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Token:
    """A phone id over frames `start` to `end` (not included)."""

    phone: int
    start: int
    end: int


def runs(labels: np.ndarray) -> list[Token]:
    """Joins equal neighbours: [T] ids to tokens in order."""
    if not len(labels):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    return [
        Token(int(labels[first]), int(first), int(end))
        for first, end in zip(starts, starts[1:], strict=False)
    ]


def greedy_ctc(log_probs: np.ndarray) -> list[Token]:
    """The best label of every frame, repeats merged, blanks removed.

    Args:
        log_probs: [T, V + 1], the blank last.

    References:
        Graves, Fernández, Gomez & Schmidhuber 2006, best path decoding.
    """
    blank = log_probs.shape[1] - 1
    return [token for token in runs(log_probs.argmax(axis=1)) if token.phone != blank]


def greedy_frames(log_posteriors: np.ndarray, *, states: int) -> list[Token]:
    """The best phone of every frame, repeats merged; no model of sequences.

    Args:
        log_posteriors: [T, V * states].
        states: states a phone.
    """
    return runs(log_posteriors.argmax(axis=1) // states)
