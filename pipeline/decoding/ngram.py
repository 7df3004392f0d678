"""Phone n-gram models: trained from transcripts, read and written as ARPA files."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.errors import ConfigError, DataError
from features.files import write_text
from pipeline.datadir.phones import PhoneTable
from pipeline.datadir.tables import read_lines
from pipeline.decoding.viterbi import PhoneBigram

START, END = "<s>", "</s>"
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
                history = (*history, symbol)
                count += 1
        return math.exp(-total / count)


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
        DataError: there is no sentence.

    References:
        Witten & Bell 1991; Chen & Goodman 1998 for the interpolated form.
    """
    if not 1 <= order <= 5:
        raise ConfigError(f"order: expected 1 to 5, got {order}")
    counts: dict[History, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        padded = (START, *sentence, END)
        for place in range(1, len(padded)):
            for length in range(min(order, place + 1)):
                counts[padded[place - length : place]][padded[place]] += 1
    if not counts:
        raise DataError("no sentence to train the n-gram model on; check text")
    probs: dict[History, float] = {(START,): _NEVER}
    backoffs: dict[History, float] = {}
    known = [*symbols, END]
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


def write_arpa(path: str | Path, model: Ngram) -> None:
    """Writes the ARPA format."""
    lines = ["", "\\data\\"]
    by_length: dict[int, list[History]] = defaultdict(list)
    for gram in model.log10_probs:
        by_length[len(gram)].append(gram)
    lengths = range(1, model.order + 1)
    lines += [f"ngram {n}={len(by_length[n])}" for n in lengths]
    for n in lengths:
        lines += ["", f"\\{n}-grams:"]
        for gram in sorted(by_length[n]):
            backoff = model.log10_backoffs.get(gram)
            tail = "" if backoff is None else f"\t{backoff:.7f}"
            lines.append(f"{model.log10_probs[gram]:.7f}\t{' '.join(gram)}{tail}")
    write_text(path, "\n".join([*lines, "", "\\end\\", ""]))


def read_arpa(path: str | Path) -> Ngram:
    """Reads the ARPA format.

    Raises:
        DataError: a line is not of the format, counts differ from the header's, or the end
            is missing; names the line.
    """
    promised: dict[int, int] = {}
    probs: dict[History, float] = {}
    backoffs: dict[History, float] = {}
    section, ended = 0, False
    for number, line in enumerate(read_lines(path), start=1):
        text = line.strip()
        if header := re.fullmatch(r"ngram (\d+)\s*=\s*(\d+)", text):
            promised[int(header[1])] = int(header[2])
        elif heading := re.fullmatch(r"\\(\d+)-grams:", text):
            section = int(heading[1])
        elif text == "\\end\\":
            ended = True
        elif text and section and not ended:
            fields = text.split()
            try:
                values = [float(fields[0])] + [float(f) for f in fields[section + 1 :]]
            except ValueError:
                values = []
            if len(values) not in (1, 2) or len(fields) < section + 1:
                raise DataError(
                    f"{path}:{number}: not a line of {section}-grams: {line!r}"
                )
            gram = tuple(fields[1 : section + 1])
            probs[gram] = values[0]
            if len(values) == 2:
                backoffs[gram] = values[1]
    found = Counter(map(len, probs))
    for length, count in promised.items():
        if found[length] != count:
            raise DataError(
                f"{path}: {found[length]} {length}-grams where the header promises {count}; "
                "the file is damaged, make it again"
            )
    if not ended or not promised:
        raise DataError(
            f"{path}: no \\data\\ or \\end\\; the file is no ARPA or cut short"
        )
    return Ngram(max(promised), probs, backoffs)


def phone_bigram(model: Ngram, phones: PhoneTable) -> PhoneBigram:
    """The model's bigram probabilities over a phone table.

    Raises:
        DataError: phones of the table are not in the model (all are named).
    """
    absent = [p for p in phones.symbols if (p,) not in model.log10_probs]
    if absent:
        raise DataError(
            f"lm.arpa lacks phones {' '.join(absent)}; train it on this phone set"
        )
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
