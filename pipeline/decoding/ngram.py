"""Phone n-gram models with back-off."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from features.errors import DataError

START, END = "<s>", "</s>"
UNKNOWN = frozenset({"<unk>", "<UNK>"})  # other tools list it; phones are all known
LOG10 = math.log(10.0)
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
        return (backoff + self.log10_probs[(*context, symbol)]) * LOG10

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> "Perplexity":
        """How well the model foretells sentences, their ends counted.

        Raises:
            DataError: a symbol is not in the model, or there is no sentence.
        """
        total, tokens, number = 0.0, 0, 0
        for sentence in sentences:
            number += 1
            history: History = (START,)
            for symbol in (*sentence, END):
                total += self.log_prob(history, symbol)
                history = (*history, symbol)[-self.order :]
                tokens += 1
        if not number:
            raise DataError("no sentence to measure perplexity on; check text")
        return Perplexity(number, tokens, total)


@dataclass(frozen=True)
class Perplexity:
    """How well a model foretells some sentences.

    Attributes:
        sentences: their number.
        tokens: phones and ends of sentences.
        log_prob: of all of them, natural.
    """

    sentences: int
    tokens: int
    log_prob: float

    @property
    def log10_prob(self) -> float:
        """As other tools print it."""
        return self.log_prob / LOG10

    @property
    def value(self) -> float:
        """exp of the mean negative log probability; between how many phones, as it were, the
        model has to choose."""
        return math.exp(-self.log_prob / self.tokens)
