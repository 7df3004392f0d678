"""Training of phone n-gram models: counts, discounts, interpolation with shorter histories."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from features.errors import ConfigError, DataError
from pipeline.decoding.ngram import END, START, History, Ngram

HIGHEST_ORDER = 5
Smoothing = Literal["witten-bell", "kneser-ney"]
_NEVER = -99.0  # ARPA's log10 of zero
_DISCOUNTS = (0.5, 1.0, 1.5)  # where too little was seen to estimate them, as KenLM's
Counts = Mapping[History, Counter[str]]
# Of what follows a history: what is left of each count, and what all is divided by. The
# difference of their sums goes to the shorter history.
Discount = Callable[[Counter[str]], tuple[dict[str, float], float]]


def _count(
    sentences: Iterable[Sequence[str]], order: int
) -> dict[History, Counter[str]]:
    """What follows each history of up to `order` - 1 symbols, and how often."""
    counts: dict[History, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        padded = (START, *sentence, END)
        for place in range(1, len(padded)):
            for length in range(min(order, place + 1)):
                counts[padded[place - length : place]][padded[place]] += 1
    return counts


def _check_symbols(seen: Counter[str], symbols: Sequence[str]) -> None:
    """Checks what there is to learn from."""
    if not seen:
        raise DataError("no sentence to train the n-gram model on; check text")
    if clash := sorted({START, END} & set(symbols)):
        raise DataError(
            f"phones {' '.join(clash)} mean the ends of a sentence in an n-gram model; "
            "rename them in phones.txt"
        )
    if unknown := sorted(set(seen) - set(symbols) - {END}):
        raise DataError(
            f"transcripts hold phones {' '.join(unknown)} that phones.txt lacks; add them there"
        )


def _continuations(counts: Counts, order: int) -> dict[History, Counter[str]]:
    """Kneser-Ney's counts: of n-grams below the highest order, after how many symbols they come.

    Nothing comes before a sentence, so n-grams that begin one keep their plain counts.
    """
    adjusted: dict[History, Counter[str]] = defaultdict(Counter)
    for history, followers in counts.items():
        if len(history) == order - 1 or history[:1] == (START,):
            adjusted[history] = Counter(followers)
    for history, followers in counts.items():
        if history and history[1:2] != (START,):
            adjusted[history[1:]].update(followers.keys())
    return adjusted


def witten_bell(followers: Counter[str]) -> tuple[dict[str, float], float]:
    """A `Discount`: as much goes to the shorter history as there are kinds of followers."""
    kept = {symbol: float(count) for symbol, count in followers.items()}
    return kept, float(followers.total() + len(followers))


def estimate_discounts(counts_of_counts: Mapping[int, int]) -> tuple[float, ...]:
    """What modified Kneser-Ney takes off counts of one, two, and three or more.

        Y = n1 / (n1 + 2 n2),  D1 = 1 - 2 Y n2 / n1,  D2 = 2 - 3 Y n3 / n2,
        D3 = 3 - 4 Y n4 / n3

    Where one of n1 to n3 is 0, or a discount would not lie between 0 and its count, as happens
    with few symbols that were all seen often: 0.5, 1 and 1.5.

    Args:
        counts_of_counts: how many n-grams were seen once, twice, …
    """
    n1, n2, n3, n4 = (counts_of_counts.get(n, 0) for n in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return _DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    fits = all(0.0 <= d <= n for n, d in enumerate(found, start=1))
    return found if fits else _DISCOUNTS


def _kneser_ney(counts: Counts, length: int) -> Discount:
    """The `Discount` for histories of one length."""
    seen = Counter(
        count
        for history, followers in counts.items()
        if len(history) == length
        for count in followers.values()
    )
    discounts = estimate_discounts(seen)

    def discount(followers: Counter[str]) -> tuple[dict[str, float], float]:
        kept = {
            symbol: count - discounts[min(count, 3) - 1]
            for symbol, count in followers.items()
        }
        return kept, float(followers.total())

    return discount


def train_ngram(
    sentences: Iterable[Sequence[str]],
    *,
    order: int,
    symbols: Sequence[str],
    smoothing: Smoothing = "witten-bell",
) -> Ngram:
    """Trains an interpolated n-gram model.

        P(w | h) = (c'(h w) + (d(h) - sum over v of c'(h v)) P(w | h')) / d(h)

    h' is h without its oldest symbol; below the unigrams stands the uniform distribution.
    Witten-Bell: c' is the count, d(h) the count of h and one for each different symbol seen
    after it. Modified Kneser-Ney: c' is the count less a discount of its own for one, two,
    and more, d(h) the count of h; below the highest order an n-gram counts as often as
    different symbols come before it.

    Args:
        sentences: phones.
        order: 1 to 5.
        symbols: all phones, so that none is impossible.
        smoothing: how much goes to shorter histories.

    Raises:
        ConfigError: the order is out of range.
        DataError: there is no sentence, or one holds a phone that is not in `symbols`.

    References:
        Witten & Bell 1991; Kneser & Ney 1995; Chen & Goodman 1998 for the interpolated forms
        and the three discounts.

    Example:
        >>> model = train_ngram([["a", "b"], ["a"]], order=2, symbols=["a", "b"])
        >>> round(math.exp(model.log_prob(["a"], "b")), 3)  # (1 + 2 * 0.25) / (2 + 2)
        0.375
    """
    if not 1 <= order <= HIGHEST_ORDER:
        raise ConfigError(f"order: expected 1 to {HIGHEST_ORDER}, got {order}")
    counts: Counts = _count(sentences, order)
    _check_symbols(counts[()], symbols)
    discounts: list[Discount] = [witten_bell] * order
    if smoothing == "kneser-ney":
        counts = _continuations(counts, order)
        discounts = [_kneser_ney(counts, length) for length in range(order)]
    known = [*symbols, END]
    probs: dict[History, float] = {(START,): _NEVER}
    backoffs: dict[History, float] = {}
    kept, whole = discounts[0](counts[()])
    rest = (whole - sum(kept.values())) / len(known)
    for symbol in known:
        share = (kept.get(symbol, 0.0) + rest) / whole
        probs[(symbol,)] = math.log10(share) if share > 0.0 else _NEVER
    model = Ngram(order, probs, backoffs)
    for history in sorted(counts, key=len):
        if not history:
            continue
        kept, whole = discounts[len(history)](counts[history])
        rest = whole - sum(kept.values())
        lower = {w: math.exp(model.log_prob(history[1:], w)) for w in kept}
        backoffs[history] = math.log10(rest / whole) if rest > 0.0 else _NEVER
        for symbol, count in kept.items():
            probs[(*history, symbol)] = math.log10(
                (count + rest * lower[symbol]) / whole
            )
    return model
