import itertools

import numpy as np
import pytest

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.grammar import flat_grammar, make_grammar
from pipeline.decoding.hmm import make_network
from pipeline.decoding.nbest import nbest_frames
from pipeline.decoding.smoothing import train_ngram
from pipeline.decoding.tokens import Token
from pipeline.decoding.viterbi import decode_frames

FLOAT32_SUM = 1e-4  # sums of up to 8 float32 terms of size 3


@pytest.mark.parametrize("seed, order", [(0, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("count", [1, 4, 60])
@pytest.mark.parametrize(
    "phones, states, min_frames, frames", [(3, 1, 1, 5), (2, 2, 1, 6), (3, 1, 2, 7)]
)
def test_the_best_sequences_of_all_are_found(
    best_of_sequence, phones, states, min_frames, frames, count, seed, order
):
    rng = np.random.default_rng(seed)
    symbols = tuple("abc"[:phones])
    lines = [[symbols[k] for k in rng.integers(phones, size=4)] for _ in range(6)]
    model = train_ngram(lines, order=order, symbols=symbols)
    grammar = make_grammar(model, PhoneTable(symbols)).weighted(1.5, 0.3)
    scores = rng.normal(size=(frames, phones * states)).astype(np.float32)
    longest = frames // max(states, min_frames)
    every = {
        line: best_of_sequence(scores, line, states=states, min_frames=min_frames)
        + grammar.score(line)
        for length in range(1, longest + 1)
        for line in itertools.product(range(phones), repeat=length)
    }
    wanted = sorted((s for s in every.values() if s > -np.inf), reverse=True)[:count]
    network = make_network(grammar, states=states, min_frames=min_frames)
    found = nbest_frames(scores, network, count=count)
    assert [one.score for one in found] == pytest.approx(wanted, abs=FLOAT32_SUM)
    lines = [tuple(token.phone for token in one.tokens) for one in found]
    assert len(set(lines)) == len(lines)
    for one, line in zip(found, lines, strict=True):
        score = every[line]
        assert one.score == pytest.approx(score, abs=FLOAT32_SUM)
        spans = [(token.start, token.end) for token in one.tokens]
        again = sum(
            best_of_sequence(scores[a:b], [phone], states=states, min_frames=min_frames)
            for (a, b), phone in zip(spans, line, strict=True)
        )
        assert again + grammar.score(line) == pytest.approx(score, abs=FLOAT32_SUM)


def test_the_first_is_what_the_plain_search_finds():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(60, 4)).astype(np.float32)
    network = make_network(flat_grammar(4).weighted(1.0, 1.0))
    found = nbest_frames(scores, network, count=5, beam=9.0)
    best = decode_frames(scores, network, beam=9.0)
    assert found[0].tokens == best.tokens
    assert found[0].score == pytest.approx(best.score)


def test_too_few_frames_give_one_sequence():
    scores = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32)
    found = nbest_frames(scores, make_network(flat_grammar(2), states=2), count=3)
    assert [one.tokens for one in found] == [[Token(1, 0, 1)]]


def test_an_exact_list_too_large_for_memory_is_refused(monkeypatch):
    monkeypatch.setattr("pipeline.decoding.hmm._MOST_RECORDS", 23)
    network, scores = make_network(flat_grammar(2)), np.zeros((3, 2), np.float32)
    with pytest.raises(DataError, match="3 frames x 2 places .* x 4 sequences may"):
        nbest_frames(scores, network, count=4)
    assert nbest_frames(scores, network, count=3)
    assert nbest_frames(scores, network, count=4, beam=50.0)
