import itertools

import numpy as np
import pytest

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.grammar import Grammar, Places, flat_grammar, make_grammar
from pipeline.decoding.hmm import check_room, make_network
from pipeline.decoding.smoothing import train_ngram
from pipeline.decoding.tokens import Token
from pipeline.decoding.viterbi import Search, decode_frames

FLOAT32_SUM = 1e-4  # sums of up to 6 float32 terms of size 3


def grammar_of(rng, phones, order=2):
    """An n-gram of random sentences over phones 0, 1, …: as a grammar, and as trained."""
    symbols = tuple("abcdef"[:phones])
    sentences = [
        [symbols[k] for k in rng.integers(phones, size=rng.integers(1, 6))]
        for _ in range(12)
    ]
    model = train_ngram(sentences, order=order, symbols=symbols)
    return make_grammar(model, PhoneTable(symbols)), model


def model_score(model, phones, weight, penalty):
    """The score of a sequence by the n-gram's own probabilities."""
    history, total = ("<s>",), 0.0
    for symbol in (*("abcdef"[phone] for phone in phones), "</s>"):
        total += model.log_prob(history, symbol)
        history = (*history, symbol)
    return weight * total - penalty * len(phones)


def network_of(transition, *, initial=(0.0, 0.0), final=(0.0, 0.0), **hmm):
    """A bigram over some phones from its matrices."""
    following = np.tile(np.arange(len(final), dtype=np.int32), (len(final) + 1, 1))
    grammar = Grammar(
        len(final),
        following,
        np.vstack([transition, [initial]]),
        np.array([*final, 0.0]),
        Places.of(following),
    )
    return make_network(grammar, **hmm)


def flat_network(**hmm):
    return make_network(flat_grammar(2), **hmm)


def tokens_score(scores, tokens, best_of_sequence, states, min_frames):
    """Scores the tokens' own segments, so that times are judged and not only the phones."""
    return sum(
        best_of_sequence(
            scores[t.start : t.end], [t.phone], states=states, min_frames=min_frames
        )
        for t in tokens
    )


@pytest.mark.parametrize("seed, order", [(0, 1), (1, 2), (2, 3), (3, 4)])
@pytest.mark.parametrize("weight, penalty", [(1.0, 0.0), (2.5, 1.0), (0.0, -1.0)])
@pytest.mark.parametrize(
    "phones, states, min_frames, frames",
    [
        (3, 1, 1, 5),
        (3, 1, 2, 6),
        (2, 3, 1, 6),
        (2, 3, 4, 9),
        (2, 2, 5, 6),
        (3, 1, 1, 1),
    ],
)
def test_decoding_is_the_best_of_all_sequences(
    best_of_sequence, phones, states, min_frames, frames, weight, penalty, seed, order
):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(frames, phones * states)).astype(np.float32)
    grammar, model = grammar_of(rng, phones, order)
    longest = frames // max(states, min_frames)
    wanted = max(
        best_of_sequence(scores, sequence, states=states, min_frames=min_frames)
        + model_score(model, sequence, weight, penalty)
        for count in range(1, longest + 1)
        for sequence in itertools.product(range(phones), repeat=count)
    )
    network = make_network(
        grammar.weighted(weight, penalty), states=states, min_frames=min_frames
    )
    found = decode_frames(scores, network)
    tokens, score = found.tokens, found.score

    again = tokens_score(scores, tokens, best_of_sequence, states, min_frames)
    again += model_score(model, [token.phone for token in tokens], weight, penalty)
    assert score == pytest.approx(wanted, abs=FLOAT32_SUM)
    assert again == pytest.approx(wanted, abs=FLOAT32_SUM)
    assert [t.start for t in tokens[1:]] == [t.end for t in tokens[:-1]]
    assert (tokens[0].start, tokens[-1].end) == (0, frames)


def test_a_phone_may_follow_itself():
    scores = np.zeros((4, 2), np.float32)
    network = network_of([[2.0, -9.0], [-9.0, -9.0]], initial=(0.0, -9.0), min_frames=2)
    found = decode_frames(scores, network)
    assert found.tokens == [Token(0, 0, 2), Token(0, 2, 4)]
    assert found.score == pytest.approx(2.0)


def noisy_scores(rng, frames, phones):
    """Scores in which a phone stands out for some frames at a time."""
    labels = np.repeat(rng.integers(phones, size=frames), 4)[:frames]
    scores = rng.normal(size=(frames, phones))
    scores[np.arange(frames), labels] += 4.0
    return (scores - np.logaddexp.reduce(scores, axis=1)[:, None]).astype(np.float32)


def test_higher_penalties_never_give_more_phones():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(200, 6)).astype(np.float32)
    grammar, _ = grammar_of(rng, 6)
    counts = [
        len(decode_frames(scores, make_network(grammar.weighted(1.0, penalty))).tokens)
        for penalty in (-2.0, 0.0, 1.0, 3.0, 9.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


@pytest.mark.parametrize("order", [2, 4])
def test_a_wide_beam_finds_what_an_exact_search_finds(order):
    rng = np.random.default_rng(order)
    scores = noisy_scores(rng, 300, 6)
    network = make_network(grammar_of(rng, 6, order)[0], min_frames=2)
    exact = decode_frames(scores, network)
    assert decode_frames(scores, network, beam=12.0) == exact
    narrow = decode_frames(scores, network, beam=0.5)
    assert narrow.score < exact.score
    assert narrow.tokens[-1].end == 300


def test_a_beam_that_loses_every_ending_gives_way_to_an_exact_search():
    # Until the last frame phone 0 is far better, but it must last four frames to end.
    scores = np.array([[0.0, -3.0]] * 4 + [[-90.0, 0.0]] * 3, np.float32)
    network = flat_network(min_frames=4)
    assert decode_frames(scores, network, beam=0.1) == decode_frames(scores, network)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_hearing_in_pieces_is_hearing_at_once(size):
    rng = np.random.default_rng(size)
    scores = noisy_scores(rng, 200, 6)
    network = make_network(grammar_of(rng, 6, 3)[0], min_frames=2)
    wanted = decode_frames(scores, network, beam=12.0)
    search = Search(network, beam=12.0)
    said: list[Token] = []
    for start in range(0, len(scores), size):
        search.hear(scores[start : start + size])
        certain = search.certain()
        assert certain[: len(said)] == said
        said = certain
    assert search.best() == wanted
    assert said == wanted.tokens[: len(said)]
    assert len(said) > len(wanted.tokens) // 2


@pytest.mark.parametrize("size", [1, 7, 64])
def test_what_is_settled_is_told_once_and_forgotten(size):
    rng = np.random.default_rng(size)
    scores = noisy_scores(rng, 2000, 6)
    network = make_network(grammar_of(rng, 6, 2)[0], min_frames=2)
    search, told, held = Search(network, beam=8.0), [], []
    for start in range(0, len(scores), size):
        search.hear(scores[start : start + size])
        told += search.settle()
        held.append(int(search._paths.counts[1]))
    wanted = decode_frames(scores, network, beam=8.0)
    last = search.best()
    assert told + last.tokens == wanted.tokens
    assert last.score == pytest.approx(wanted.score)
    assert max(held[len(held) // 2 :]) < 2 * max(held[: len(held) // 2])


def test_too_few_frames_for_any_phone_give_the_likeliest_one():
    scores = np.array([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], np.float32)
    found = decode_frames(scores, flat_network(states=3))
    assert (found.tokens, np.isfinite(found.score)) == ([Token(1, 0, 1)], True)


def test_no_frames_give_no_phones():
    assert decode_frames(np.zeros((0, 2)), flat_network()).tokens == []


@pytest.mark.parametrize(
    "scores, message",
    [
        (np.zeros((4, 3)), r"shape \[T, 2\], got \[4, 3\]"),
        (np.full((4, 2), np.nan), "NaN"),
        (np.full((4, 2), -np.inf), "probability 0"),
    ],
)
def test_scores_that_cannot_be_decoded_are_refused(scores, message):
    with pytest.raises(DataError, match=message):
        decode_frames(scores, flat_network())


@pytest.mark.parametrize("beam", [np.inf, 1e-9])
def test_a_search_too_large_for_memory_is_refused(monkeypatch, beam):
    """With a beam too narrow for any end the search is done again, exactly."""
    transition, final = [[0.0, -9.0], [-9.0, 0.0]], [-np.inf, 0.0]
    network = network_of(transition, initial=(0.0, -9.0), final=final)
    scores = np.array([[0.0, -5.0]] * 4, np.float32)
    assert decode_frames(scores, network, beam=beam).tokens
    monkeypatch.setattr("pipeline.decoding.hmm._MOST_RECORDS", 7)
    message = (
        r"exact search of 4 frames x 2 places \(3 histories of 2 phones\) may need .* GB; "
        "give a beam"
    )
    with pytest.raises(DataError, match=message):
        decode_frames(scores, network, beam=beam)
    assert decode_frames(scores, network, beam=30.0).tokens


def test_the_largest_search_needs_a_few_gigabytes():
    places = np.broadcast_to(np.int32(0), 1 << 20)
    network = network_of([[0.0, 0.0]] * 2)._replace(rows=places)
    check_room(network, 256)
    with pytest.raises(DataError, match="1048576 places .* may need 3 GB"):
        check_room(network, 257)
