"""Viterbi decoding over phone HMMs with a phone bigram."""

from dataclasses import dataclass

import numba
import numpy as np

from features.errors import DataError
from pipeline.decoding.tokens import Token


@dataclass(frozen=True)
class PhoneBigram:
    """Natural log probabilities of phones in sequence.

    Attributes:
        initial: [V], of the first phone.
        transition: [V, V], of the column's phone after the row's.
        final: [V], of the end after a phone.
    """

    initial: np.ndarray
    transition: np.ndarray
    final: np.ndarray

    def scaled(self, weight: float, penalty: float) -> "PhoneBigram":
        """Scores times `weight`, less `penalty` for every phone."""
        return PhoneBigram(
            (self.initial * weight - penalty).astype(np.float32),
            (self.transition * weight - penalty).astype(np.float32),
            (self.final * weight).astype(np.float32),
        )


@numba.njit(cache=True)
def _search(
    scores: np.ndarray,
    initial: np.ndarray,
    transition: np.ndarray,
    final: np.ndarray,
    length: int,
    states: int,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Best path through a chain of `length` copies for every phone.

    The copies of a phone are walked one a frame, the last may repeat; copy k is heard as
    state min(k * states // length, states - 1). Returns the phone of every frame, whether a
    phone begins there, and the score.
    """
    frames = scores.shape[0]
    phones = initial.shape[0]
    # Sums over an hour's frames need more digits than float32 has.
    best = np.full((phones, length), -np.inf, np.float64)
    came = np.full(
        (frames, phones, length), -1, np.int16
    )  # phone left, or -1: from within
    stayed = np.zeros((frames, phones, length), np.bool_)
    for phone in range(phones):
        best[phone, 0] = initial[phone] + scores[0, phone * states]
    entering = np.empty(phones, np.float64)
    origin = np.empty(phones, np.int16)
    for time in range(1, frames):
        for phone in range(phones):
            entering[phone] = -np.inf
            origin[phone] = 0
        for left in range(phones):
            score = best[left, length - 1]
            if score == -np.inf:
                continue
            for phone in range(phones):
                total = score + transition[left, phone]
                if total > entering[phone]:
                    entering[phone] = total
                    origin[phone] = left
        for phone in range(phones):
            for copy in range(length - 1, -1, -1):
                state = min(copy * states // length, states - 1)
                # Copies are walked in step with time: only the last of a state may repeat.
                last = copy == length - 1 or (copy + 1) * states // length > state
                value = best[phone, copy] if last else -np.inf
                stay = True
                if copy == 0:
                    if entering[phone] > value:
                        value, stay = entering[phone], False
                        came[time, phone, copy] = origin[phone]
                elif best[phone, copy - 1] > value:
                    value, stay = best[phone, copy - 1], False
                stayed[time, phone, copy] = stay
                best[phone, copy] = value + scores[time, phone * states + state]
    top, phone = -np.inf, 0
    for candidate in range(phones):
        total = best[candidate, length - 1] + final[candidate]
        if total > top:
            top, phone = total, candidate
    path = np.empty(frames, np.int32)
    begins = np.zeros(frames, np.bool_)
    copy = length - 1
    for time in range(frames - 1, -1, -1):
        path[time] = phone
        if time == 0 or stayed[time, phone, copy]:
            continue
        if copy > 0:
            copy -= 1
        else:
            begins[time] = True
            phone = came[time, phone, copy]
            copy = length - 1
    return path, begins, top


def decode_frames(
    log_likelihoods: np.ndarray,
    *,
    states: int,
    bigram: PhoneBigram,
    min_frames: int = 1,
) -> tuple[list[Token], float]:
    """The most likely phone sequence of an utterance.

    Args:
        log_likelihoods: [T, V * states] float32, scaled; state k of phone p at p * states + k.
        states: states a phone, walked from first to last without skips.
        bigram: of phones, weight and penalty applied.
        min_frames: frames a phone lasts at least.

    Returns:
        Tokens, and the score of their path (-inf, with one token, when T is too short for
        any phone; no token when T is 0).

    Raises:
        DataError: scores are NaN, or not as many a frame as the bigram has states.

    References:
        Viterbi 1967; Robinson, Hochberg & Renals 1996 for posteriors as scaled likelihoods.
    """
    length = max(states, min_frames)
    scores = np.ascontiguousarray(log_likelihoods, np.float32)
    width = len(bigram.initial) * states
    if scores.ndim != 2 or scores.shape[1] != width:
        raise DataError(
            f"expected scores of shape [T, {width}], got {list(scores.shape)}; the model and "
            "the language model have different phones"
        )
    if np.isnan(scores).any():
        raise DataError("the model's scores hold NaN; train it again")
    if not len(scores):
        return [], -np.inf
    if len(scores) < length:
        phone = int(scores.reshape(len(scores), -1, states).sum(axis=(0, 2)).argmax())
        return [Token(phone, 0, len(scores))], -np.inf
    path, begins, total = _search(
        scores,
        bigram.initial.astype(np.float32),
        bigram.transition.astype(np.float32),
        bigram.final.astype(np.float32),
        length,
        states,
    )
    starts = [0, *np.flatnonzero(begins).tolist(), len(path)]
    tokens = [
        Token(int(path[first]), first, end)
        for first, end in zip(starts, starts[1:], strict=False)
    ]
    return tokens, float(total)
