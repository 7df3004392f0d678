"""Which reference phone a hypothesis phone stands for."""

from collections.abc import Callable, Sequence
from typing import Literal

import jiwer

Pair = tuple[str | None, str | None]  # None: inserted, deleted
Alignment = Literal["jiwer", "sclite"]

# NIST's sclite counts a path's cost so, and of equal paths takes the first of these moves.
_SUBSTITUTION, _INSERTION, _DELETION = 4, 3, 3


def jiwer_pairs(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Aligns with the fewest errors: the edit distance that error rates are defined by.

    Args:
        reference, hypothesis: phones, without spaces inside.

    Returns:
        Pairs in order; hits are pairs of equals.
    """
    if not reference:  # jiwer refuses these
        return [(None, phone) for phone in hypothesis]
    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    pairs: list[Pair] = []
    for chunk in output.alignments[0]:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "delete":
            pairs += [(phone, None) for phone in left]
        elif chunk.type == "insert":
            pairs += [(None, phone) for phone in right]
        else:
            pairs += zip(left, right, strict=True)
    return pairs


def sclite_pairs(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Aligns as NIST's sclite does, for counts that equal its own.

    A substitution costs 4, an insertion or deletion 3: where several alignments have the
    fewest errors it takes the one of most hits, and at times (five substitutions in a row or
    more) one of more hits and more errors. So its rate is never below that of `jiwer_pairs`.

    Args:
        reference, hypothesis: phones.

    Returns:
        Pairs in order; hits are pairs of equals.

    References:
        NIST SCTK, sclite(1); found equal to version 2.10 on random and real hypotheses.
    """
    moves: list[str] = ["i" * (len(hypothesis) + 1)]
    costs = [_INSERTION * place for place in range(len(hypothesis) + 1)]
    for left in reference:
        diagonal, costs[0] = costs[0], costs[0] + _DELETION
        row = ["d"]
        for place, right in enumerate(hypothesis, start=1):
            cost = diagonal + (0 if left == right else _SUBSTITUTION)
            move = "s"
            if costs[place - 1] + _INSERTION < cost:
                cost, move = costs[place - 1] + _INSERTION, "i"
            if costs[place] + _DELETION < cost:
                cost, move = costs[place] + _DELETION, "d"
            diagonal, costs[place] = costs[place], cost
            row.append(move)
        moves.append("".join(row))
    pairs: list[Pair] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        move = moves[i][j]
        i, j = i - (move != "i"), j - (move != "d")
        pairs.append(
            (
                None if move == "i" else reference[i],
                None if move == "d" else hypothesis[j],
            )
        )
    return pairs[::-1]


ALIGNMENTS: dict[Alignment, Callable[[Sequence[str], Sequence[str]], list[Pair]]] = {
    "jiwer": jiwer_pairs,
    "sclite": sclite_pairs,
}
