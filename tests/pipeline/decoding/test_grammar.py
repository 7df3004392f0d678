import itertools

import numpy as np
import pytest

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.arpa import write_arpa
from pipeline.decoding.grammar import flat_grammar, make_grammar, read_grammar
from pipeline.decoding.ngram import END, START, Ngram
from pipeline.decoding.smoothing import train_ngram

SYMBOLS = ("a", "b", "c")
EXACT = 1e-9  # sums of a few float64 logs


def sentences(rng, number):
    sizes = rng.integers(0, 6, size=number)
    return [[SYMBOLS[k] for k in rng.integers(3, size=size)] for size in sizes]


def whole_score(model, line):
    history, total = (START,), 0.0
    for symbol in (*line, END):
        total += model.log_prob(history, symbol)
        history = (*history, symbol)
    return total


@pytest.mark.parametrize("smoothing", ["witten-bell", "kneser-ney"])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_a_walk_through_the_graph_has_the_models_probability(order, smoothing):
    rng = np.random.default_rng(order)
    training = sentences(rng, 15)
    model = train_ngram(training, order=order, symbols=SYMBOLS, smoothing=smoothing)
    table = PhoneTable(("c", "a", "b"))
    grammar = make_grammar(model, table)
    for line in itertools.product(SYMBOLS, repeat=5):
        found = grammar.score(table.indices(line))
        assert found == pytest.approx(whole_score(model, line), abs=EXACT)
    assert grammar.score([]) == pytest.approx(whole_score(model, []), abs=EXACT)


def test_an_unlisted_shorter_history_is_walked_through():
    # Other tools prune: "a b c" is listed, its beginning "a b" is not.
    probs = {("a",): -0.5, ("b",): -0.6, ("c",): -0.7, (END,): -0.8, (START,): -99.0}
    probs[("a", "b", "c")] = -0.1
    model = Ngram(3, probs, {("a",): -0.2, ("b",): -0.3})
    table = PhoneTable(SYMBOLS)
    grammar = make_grammar(model, table)
    for line in itertools.product(SYMBOLS, repeat=4):
        found = grammar.score(table.indices(line))
        assert found == pytest.approx(whole_score(model, line), abs=EXACT)


def test_weights_and_penalties():
    model = train_ngram([["a", "b"]], order=2, symbols=SYMBOLS)
    plain = make_grammar(model, PhoneTable(SYMBOLS))
    weighted = plain.weighted(2.5, 0.75)
    for line in ([], [0], [1, 1, 2]):
        wanted = 2.5 * plain.score(line) - 0.75 * len(line)
        assert weighted.score(line) == pytest.approx(wanted, abs=EXACT)


def test_places_are_the_pairs_that_arcs_lead_to():
    model = train_ngram([["a", "b"], ["b", "a", "b"]], order=3, symbols=SYMBOLS)
    grammar = make_grammar(model, PhoneTable(SYMBOLS))
    places = grammar.places
    for state, phone in np.ndindex(grammar.following.shape):
        place = places.targets[state, phone]
        assert places.phones[place] == phone
        assert places.states[place] == grammar.following[state, phone]
    assert set(places.targets.flat) == set(range(len(places.states)))


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
        make_grammar(model, PhoneTable(symbols), source="my.arpa")


def test_no_model_costs_nothing():
    grammar = flat_grammar(3)
    assert grammar.following.shape == (1, 3)
    assert grammar.score([0, 2, 1]) == 0.0


def test_a_file_becomes_a_grammar(tmp_path):
    model = train_ngram([["a", "b"]], order=2, symbols=SYMBOLS)
    write_arpa(tmp_path / "lm.arpa", model)
    table = PhoneTable(SYMBOLS)
    found = read_grammar(tmp_path / "lm.arpa", table)
    wanted = make_grammar(model, table)
    assert found.log_probs == pytest.approx(wanted.log_probs, abs=1e-6)
    assert read_grammar(None, table).score([1]) == 0.0


def test_at_weight_0_a_phone_of_probability_0_is_free():
    probs = {(s,): -0.5 for s in (*SYMBOLS, END)} | {("b",): -np.inf}
    grammar = make_grammar(Ngram(1, probs, {}), PhoneTable(SYMBOLS)).weighted(0.0, 2.0)
    assert (grammar.log_probs == -2.0).all()
    assert (grammar.final == 0.0).all()
