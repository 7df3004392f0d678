"""Phone n-gram models with back-off, trained from transcripts."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import ConfigError, DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.viterbi import PhoneBigram

START, END = "<s>", "</s>"
UNKNOWN = frozenset({"<unk>", "<UNK>"})  # other tools list it; phones are all known
HIGHEST_ORDER = 5
_NEVER = -99.0  # ARPA's log10 of zero
_LOG10 = math.log(10.0)
History = tuple[str, ...]


@dataclass(frozen=True)
class Ngram:
    """A back-off model, as ARPA files hold it.

    Attributes:
        order: longest n-gram.
        log10_probs: of every n-gram that is listed.
        log10_backoffs: of every history that has one.
    """

    order: int
    log10_probs: dict[History, float]
    log10_backoffs: dict[History, float]

    def log_prob(self, history: Sequence[str], symbol: str) -> float:
        """Natural log of P(symbol | history), shorter histories where the longer is not listed.

        Raises:
            DataError: the symbol is not in the model.
        """
        context = tuple(history)[max(0, len(history) - self.order + 1) :]
        backoff = 0.0
        while (*context, symbol) not in self.log10_probs:
            if not context:
                raise DataError(
                    f"{symbol!r} is not in the n-gram model; train it on this phone set"
                )
            backoff += self.log10_backoffs.get(context, 0.0)
            context = context[1:]
        return (backoff + self.log10_probs[(*context, symbol)]) * _LOG10

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """Perplexity over sentences, their ends counted."""
        total, count = 0.0, 0
        for sentence in sentences:
            history: History = (START,)
            for symbol in (*sentence, END):
                total += self.log_prob(history, symbol)
                history = (*history, symbol)[-self.order :]
                count += 1
        return math.exp(-total / count)


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


def train_ngram(
    sentences: Iterable[Sequence[str]], *, order: int, symbols: Sequence[str]
) -> Ngram:
    """Trains an n-gram model with interpolated Witten-Bell smoothing.

        P(w | h) = (c(h w) + t(h) P(w | h')) / (c(h) + t(h))

    where t(h) counts the different symbols seen after h, and h' is h without its oldest
    symbol; below the unigrams stands the uniform distribution.

    Args:
        sentences: phones.
        order: 1 to 5.
        symbols: all phones, so that none is impossible.

    Raises:
        ConfigError: the order is out of range.
        DataError: there is no sentence, or one holds a phone that is not in `symbols`.

    References:
        Witten & Bell 1991; Chen & Goodman 1998 for the interpolated form.

    Example:
        >>> model = train_ngram([["a", "b"], ["a"]], order=2, symbols=["a", "b"])
        >>> round(math.exp(model.log_prob(["a"], "b")), 3)  # (1 + 2 * 0.25) / (2 + 2)
        0.375
    """
    if not 1 <= order <= HIGHEST_ORDER:
        raise ConfigError(f"order: expected 1 to {HIGHEST_ORDER}, got {order}")
    counts = _count(sentences, order)
    known = [*symbols, END]
    _check_symbols(counts[()], symbols)
    probs: dict[History, float] = {(START,): _NEVER}
    backoffs: dict[History, float] = {}
    unigrams = counts[()]
    total, kinds = unigrams.total(), len(unigrams)
    for symbol in known:
        share = (unigrams[symbol] + kinds / len(known)) / (total + kinds)
        probs[(symbol,)] = math.log10(share)
    model = Ngram(order, probs, backoffs)
    for history in sorted(counts, key=len):
        if not history:
            continue
        followers = counts[history]
        total, kinds = followers.total(), len(followers)
        lower = {w: math.exp(model.log_prob(history[1:], w)) for w in followers}
        backoffs[history] = math.log10(kinds / (total + kinds))
        for symbol, count in followers.items():
            share = (count + kinds * lower[symbol]) / (total + kinds)
            probs[(*history, symbol)] = math.log10(share)
    return model


def phone_bigram(
    model: Ngram, phones: PhoneTable, *, source: str = "lm.arpa"
) -> PhoneBigram:
    """The model's bigram probabilities over a phone table, as natural logs.

    Args:
        model: of any order; of order 1, every row of the matrix is the same.
        phones: V of them.
        source: the model's file, named in messages.

    Raises:
        DataError: model and table have different phones (all are named).
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
    symbols = phones.symbols
    return PhoneBigram(
        np.array([model.log_prob((START,), p) for p in symbols]),
        np.array([[model.log_prob((a,), b) for b in symbols] for a in symbols]),
        np.array([model.log_prob((p,), END) for p in symbols]),
    )


def flat_bigram(num_phones: int) -> PhoneBigram:
    """No model at all: every phone after every other at no cost."""
    return PhoneBigram(
        np.zeros(num_phones), np.zeros((num_phones, num_phones)), np.zeros(num_phones)
    )
