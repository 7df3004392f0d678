import doctest
import math
from collections import Counter
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigError, DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.ngram import END, START, flat_bigram, phone_bigram, train_ngram

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
    assert model.perplexity(sentences) == pytest.approx(wanted)


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


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_bigram_over_a_table_holds_the_models_probabilities(order):
    sentences = [["a", "b", "a"], ["b"], ["c", "a"]]
    model = train_ngram(sentences, order=order, symbols=SYMBOLS)
    table = PhoneTable(("c", "a", "b"))
    bigram = phone_bigram(model, table)
    for row, left in enumerate(table.symbols):
        assert bigram.initial[row] == model.log_prob((START,), left)
        assert bigram.final[row] == model.log_prob((left,), END)
        assert bigram.transition[row].tolist() == [
            model.log_prob((left,), right) for right in table.symbols
        ]
    leaving = np.exp(bigram.transition).sum(axis=1) + np.exp(bigram.final)
    assert leaving == pytest.approx(np.ones(3), abs=NORMALIZED)


@pytest.mark.parametrize(
    "symbols, message",
    [
        (("a", "b", "c", "d"), "my.arpa: lacks symbols .*: d; run keraldi lm"),
        (("a", "b"), "my.arpa: has symbols .*: c; run keraldi lm"),
    ],
)
def test_other_phones_than_the_models_are_named(symbols, message):
    model = train_ngram([["a"]], order=2, symbols=SYMBOLS)
    with pytest.raises(DataError, match=message):
        phone_bigram(model, PhoneTable(symbols), source="my.arpa")


def test_no_model_costs_nothing():
    bigram = flat_bigram(3)
    assert bigram.transition.shape == (3, 3)
    assert not any(map(np.any, (bigram.initial, bigram.transition, bigram.final)))


def test_examples_run():
    module = import_module("pipeline.decoding.ngram")
    assert doctest.testmod(module).failed == 0
