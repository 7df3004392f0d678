"""Phone HMMs over a grammar: what Viterbi searches walk through."""

from typing import NamedTuple

import numba
import numpy as np

from features.errors import DataError
from pipeline.decoding.grammar import Grammar

_MOST_RECORDS = 1 << 28  # of 12 bytes, and as many again while they grow


class Network(NamedTuple):
    """A grammar and the HMMs of its phones, as the search reads them.

    A place is a phone and the grammar's state behind it; each has a chain of `length` copies.
    The copies are walked one a frame; copy k is heard as state k * states // length of its
    phone, and only the last copy of a state may repeat.

    Attributes:
        start: the grammar's first state.
        rows: [N] int32, the grammar's state behind a place.
        phones: [N] int32, the phone of a place.
        targets: [H, V] int32, place that a phone leads to from a state.
        costs: [H, V] float64, what it adds: LM weight and insertion penalty applied.
        cheapest: [H] float64, the greatest of a state's costs.
        final: [H] float64, what an end adds.
        states, length: of every phone.
    """

    start: int
    rows: np.ndarray
    phones: np.ndarray
    targets: np.ndarray
    costs: np.ndarray
    cheapest: np.ndarray
    final: np.ndarray
    states: int
    length: int


def make_network(grammar: Grammar, *, states: int = 1, min_frames: int = 1) -> Network:
    """Joins a grammar and phone HMMs.

    Args:
        grammar: of V phones, weight and penalty applied.
        states: states a phone, walked from first to last without skips.
        min_frames: frames a phone lasts at least.
    """
    return Network(
        grammar.start,
        grammar.places.states,
        grammar.places.phones,
        grammar.places.targets,
        grammar.log_probs,
        grammar.log_probs.max(axis=1),
        grammar.final,
        states,
        max(states, min_frames),
    )


@numba.njit(cache=True, nogil=True)
def heard_as(copy: int, length: int, states: int) -> tuple[int, bool]:
    """The state that a copy is heard as, and whether the copy may repeat."""
    state = copy * states // length
    return state, copy == length - 1 or (copy + 1) * states // length > state


@numba.njit(cache=True, nogil=True)
def with_room(records: np.ndarray, used: int, more: int) -> np.ndarray:
    """Records [R, 3] int32, the first `used` kept, with room for so many more."""
    if used + more <= len(records):
        return records
    grown = np.empty((2 * (used + more), 3), np.int32)
    for record in range(used):  # assigning a slice takes five times as long to compile
        for column in range(3):
            grown[record, column] = records[record, column]
    return grown


def check_scores(scores: np.ndarray, width: int) -> np.ndarray:
    """Scores as the searches want them: they read memory by phone, so these are checked.

    Raises:
        DataError: scores are NaN, or not `width` a frame.
    """
    if scores.ndim != 2 or scores.shape[1] != width:
        raise DataError(
            f"expected scores of shape [T, {width}], got {list(scores.shape)}; the model and "
            "the language model have different phones"
        )
    if np.isnan(scores).any():
        raise DataError("the model's scores hold NaN; train it again")
    return np.ascontiguousarray(scores, np.float32)


def check_room(network: Network, frames: int, *, paths: int = 1) -> None:
    """Checks that an exact search is not too large for memory.

    Args:
        network: what is walked through.
        frames: that are heard.
        paths: kept in every place.

    Raises:
        DataError: it may write more records than can be kept.
    """
    records = frames * len(network.rows) * paths
    if records > _MOST_RECORDS:
        histories, phones = network.targets.shape
        of = f" x {paths} sequences" if paths > 1 else ""
        raise DataError(
            f"an exact search of {frames} frames x {len(network.rows)} places ({histories} "
            f"histories of {phones} phones){of} may need {12e-9 * records:.0f} GB; give a beam "
            "(--beam in place of --exact, or a wider one), or a lower order"
        )
