import doctest
import itertools
import math
from collections import Counter
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigError, DataError
from pipeline.decoding.ngram import END, START
from pipeline.decoding.smoothing import (
    estimate_discounts,
    train_ngram,
)

SYMBOLS = ("a", "b", "c")
NORMALIZED = 1e-9  # sums of at most 4 float64 probabilities

texts = st.lists(st.lists(st.sampled_from(SYMBOLS), max_size=6), min_size=1, max_size=6)


def witten_bell(sentences, history, symbol):
    """The interpolated estimate from its equation, counting anew for every history."""
    if history == ():
        lower = 1.0 / (len(SYMBOLS) + 1)
    else:
        lower = witten_bell(sentences, history[1:], symbol)
    followers = Counter()
    for sentence in sentences:
        padded = (START, *sentence, END)
        for place in range(1, len(padded)):
            if (
                place >= len(history)
                and padded[place - len(history) : place] == history
            ):
                followers[padded[place]] += 1
    if not followers:
        return lower
    total, kinds = sum(followers.values()), len(followers)
    return (followers[symbol] + kinds * lower) / (total + kinds)


@settings(max_examples=40, deadline=None)
@given(
    sentences=texts,
    order=st.integers(1, 4),
    history=st.lists(st.sampled_from(SYMBOLS), max_size=3),
    begins=st.booleans(),
)
def test_probabilities_follow_the_equation(sentences, order, history, begins):
    model = train_ngram(sentences, order=order, symbols=SYMBOLS)
    history = (START, *history) if begins else tuple(history)
    seen = history[max(0, len(history) - order + 1) :]
    wanted = [witten_bell(sentences, seen, w) for w in (*SYMBOLS, END)]
    found = [math.exp(model.log_prob(history, w)) for w in (*SYMBOLS, END)]
    assert found == pytest.approx(wanted)
    assert sum(found) == pytest.approx(1.0, abs=NORMALIZED)


def test_perplexity_is_that_of_the_probabilities():
    sentences = [["a", "b"], ["a"]]
    model = train_ngram(sentences, order=1, symbols=SYMBOLS)
    # a 2, b 1, </s> 2 of 5, 3 kinds over 4 symbols
    a, b, end = (2 + 3 / 4) / 8, (1 + 3 / 4) / 8, (2 + 3 / 4) / 8
    wanted = (a * b * end * a * end) ** (-1 / 5)
    found = model.perplexity(sentences)
    assert found.value == pytest.approx(wanted)
    assert (found.sentences, found.tokens) == (2, 5)
    with pytest.raises(DataError, match="no sentence to measure"):
        model.perplexity([])


def test_a_symbol_outside_the_model_is_named():
    model = train_ngram([["a"]], order=2, symbols=["a"])
    with pytest.raises(DataError, match="'zz' is not in the n-gram model"):
        model.log_prob(["a"], "zz")


@pytest.mark.parametrize("order", [0, 6])
def test_orders_out_of_range_are_refused(order):
    with pytest.raises(ConfigError, match=f"expected 1 to 5, got {order}"):
        train_ngram([["a"]], order=order, symbols=["a"])


@pytest.mark.parametrize(
    "sentences, symbols, message",
    [
        ([], ["a"], "no sentence"),
        ([["a", "x"]], ["a"], "phones x that phones.txt lacks"),
        ([["a"]], ["a", "<s>"], "rename them"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(sentences, symbols, message):
    with pytest.raises(DataError, match=message):
        train_ngram(sentences, order=2, symbols=symbols)


def discounts_of(counts):
    """Chen & Goodman's three discounts from their equations; counts of n-grams."""
    n1, n2, n3, n4 = (sum(c == n for c in counts) for n in (1, 2, 3, 4))
    if 0 in (n1, n2, n3):
        return 0.5, 1.0, 1.5
    y = n1 / (n1 + 2 * n2)
    found = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    if any(not 0 <= d <= n + 1 for n, d in enumerate(found)):
        return 0.5, 1.0, 1.5
    return found


def kneser_ney(sentences, order, history, symbol):
    """Modified Kneser-Ney from its equations; every count is made anew from the sentences."""

    def plain(gram):
        """How often an n-gram comes; <s> itself is never foretold."""
        padded = ((START, *s, END) for s in sentences)
        return sum(
            p[k : k + len(gram)] == gram
            for p in padded
            for k in range(len(p) - len(gram) + 1)
        )

    def count(gram):
        if len(gram) == order or gram[0] == START:
            return plain(gram)
        return sum(plain((left, *gram)) > 0 for left in (START, *SYMBOLS))

    words = (*SYMBOLS, END)
    if history == ():
        lower = 1.0 / len(words)
    else:
        lower = kneser_ney(sentences, order, history[1:], symbol)
    followers = {w: count((*history, w)) for w in words}
    total = sum(followers.values())
    if not total:
        return lower
    histories = itertools.product((START, *SYMBOLS), repeat=len(history))
    every = [count((*h, w)) for h in histories if START not in h[1:] for w in words]
    d = (0.0, *discounts_of(every))
    off = {w: d[min(c, 3)] for w, c in followers.items()}
    return (followers[symbol] - off[symbol] + sum(off.values()) * lower) / total


@settings(max_examples=25, deadline=None)
@given(
    sentences=texts,
    order=st.integers(1, 3),
    history=st.lists(st.sampled_from(SYMBOLS), max_size=2),
    begins=st.booleans(),
)
def test_kneser_ney_follows_the_equations(sentences, order, history, begins):
    model = train_ngram(sentences, order=order, symbols=SYMBOLS, smoothing="kneser-ney")
    history = (START, *history) if begins else tuple(history)
    seen = history[max(0, len(history) - order + 1) :]
    found = [math.exp(model.log_prob(history, w)) for w in (*SYMBOLS, END)]
    sides = [tuple(s) for s in sentences]
    wanted = [kneser_ney(sides, order, seen, w) for w in (*SYMBOLS, END)]
    assert found == pytest.approx(wanted)
    assert sum(found) == pytest.approx(1.0, abs=NORMALIZED)


@pytest.mark.parametrize(
    "counts, wanted",
    [
        # Y = 10 / (10 + 2 * 5) = 1/2
        ({1: 10, 2: 5, 3: 4, 4: 2}, (0.5, 2 - 1.5 * 4 / 5, 3 - 2 * 2 / 4)),
        ({1: 10, 2: 5, 3: 4}, (0.5, 0.8, 3.0)),
        ({1: 10, 2: 5, 4: 4}, (0.5, 1.0, 1.5)),  # none came three times
        ({1: 1, 2: 9, 3: 1, 4: 90}, (0.5, 1.0, 1.5)),  # the third would be negative
    ],
)
def test_discounts(counts, wanted):
    assert estimate_discounts(counts) == pytest.approx(wanted)


def test_kneser_ney_counts_contexts_not_occurrences():
    # b comes often, but only after a: elsewhere c, which also begins a sentence, is likelier.
    sentences = [["a", "b"]] * 8 + [["a", "c"], ["c"]]
    model = train_ngram(sentences, order=2, symbols=SYMBOLS, smoothing="kneser-ney")
    assert model.log_prob(["c"], "c") > model.log_prob(["c"], "b")
    plain = train_ngram(sentences, order=2, symbols=SYMBOLS)
    assert plain.log_prob(["c"], "c") < plain.log_prob(["c"], "b")


def test_examples_run():
    module = import_module("pipeline.decoding.smoothing")
    assert doctest.testmod(module).failed == 0
