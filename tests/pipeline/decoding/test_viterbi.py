import itertools

import numpy as np
import pytest

from features.errors import DataError
from pipeline.decoding.tokens import Token
from pipeline.decoding.viterbi import PhoneBigram, decode_frames

FLOAT32_SUM = 1e-4  # sums of up to 6 float32 terms of size 3


def random_bigram(rng, phones):
    logs = np.log(rng.dirichlet(np.ones(phones + 1), phones))
    initial = np.log(rng.dirichlet(np.ones(phones)))
    return PhoneBigram(initial, logs[:, :-1], logs[:, -1])


def bigram_score(bigram, phones, weight, penalty):
    links = sum(bigram.transition[a, b] for a, b in itertools.pairwise(phones))
    total = bigram.initial[phones[0]] + links + bigram.final[phones[-1]]
    return weight * total - penalty * len(phones)


def tokens_score(scores, tokens, best_of_sequence, states, min_frames):
    """Scores the tokens' own segments, so that times are judged and not only the phones."""
    return sum(
        best_of_sequence(
            scores[t.start : t.end], [t.phone], states=states, min_frames=min_frames
        )
        for t in tokens
    )


@pytest.mark.parametrize("seed", range(3))
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
    best_of_sequence, phones, states, min_frames, frames, weight, penalty, seed
):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(frames, phones * states)).astype(np.float32)
    bigram = random_bigram(rng, phones)
    longest = frames // max(states, min_frames)
    wanted = max(
        best_of_sequence(scores, sequence, states=states, min_frames=min_frames)
        + bigram_score(bigram, sequence, weight, penalty)
        for count in range(1, longest + 1)
        for sequence in itertools.product(range(phones), repeat=count)
    )

    tokens, score = decode_frames(
        scores,
        states=states,
        bigram=bigram.scaled(weight, penalty),
        min_frames=min_frames,
    )

    found = [token.phone for token in tokens]
    again = tokens_score(scores, tokens, best_of_sequence, states, min_frames)
    assert score == pytest.approx(wanted, abs=FLOAT32_SUM)
    assert again + bigram_score(bigram, found, weight, penalty) == pytest.approx(
        wanted, abs=FLOAT32_SUM
    )
    assert [t.start for t in tokens[1:]] == [t.end for t in tokens[:-1]]
    assert (tokens[0].start, tokens[-1].end) == (0, frames)


def test_a_phone_may_follow_itself():
    scores = np.zeros((4, 2), np.float32)
    transition = np.array([[2.0, -9.0], [-9.0, -9.0]])
    bigram = PhoneBigram(np.array([0.0, -9.0]), transition, np.zeros(2))
    tokens, score = decode_frames(scores, states=1, bigram=bigram, min_frames=2)
    assert tokens == [Token(0, 0, 2), Token(0, 2, 4)]
    assert score == pytest.approx(2.0)


def test_higher_penalties_never_give_more_phones():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(200, 6)).astype(np.float32)
    bigram = random_bigram(rng, 6)
    counts = [
        len(decode_frames(scores, states=1, bigram=bigram.scaled(1.0, penalty))[0])
        for penalty in (-2.0, 0.0, 1.0, 3.0, 9.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_too_few_frames_for_any_phone_give_the_likeliest_one():
    scores = np.array([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], np.float32)
    bigram = PhoneBigram(np.zeros(2), np.zeros((2, 2)), np.zeros(2))
    tokens, score = decode_frames(scores, states=3, bigram=bigram)
    assert tokens == [Token(1, 0, 1)]
    assert score == -np.inf


def test_no_frames_give_no_phones():
    bigram = PhoneBigram(np.zeros(2), np.zeros((2, 2)), np.zeros(2))
    assert decode_frames(np.zeros((0, 2)), states=1, bigram=bigram)[0] == []


@pytest.mark.parametrize(
    "scores, message",
    [
        (np.zeros((4, 3)), r"shape \[T, 2\], got \[4, 3\]"),
        (np.full((4, 2), np.nan), "NaN"),
    ],
)
def test_scores_that_cannot_be_decoded_are_refused(scores, message):
    bigram = PhoneBigram(np.zeros(2), np.zeros((2, 2)), np.zeros(2))
    with pytest.raises(DataError, match=message):
        decode_frames(scores, states=1, bigram=bigram)
