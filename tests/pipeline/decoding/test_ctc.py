import itertools

import numpy as np
import pytest

from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.ctc import prefix_beam
from pipeline.decoding.grammar import flat_grammar, make_grammar
from pipeline.decoding.smoothing import train_ngram

FLOAT32_SUM = 1e-4  # log sums of up to 5 float32 terms a path
BLANK = 3


def sequences(log_probs):
    """The log probability of every sequence: the sum over all paths that collapse to it."""
    found = {}
    frames = np.arange(len(log_probs))
    for path in itertools.product(range(BLANK + 1), repeat=len(log_probs)):
        labels = [label for label, _ in itertools.groupby(path)]
        key = tuple(label for label in labels if label != BLANK)
        score = log_probs[frames, path].sum(dtype=np.float64)
        found[key] = np.logaddexp(found.get(key, -np.inf), score)
    return found


def random_case(seed, order, frames=5):
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.dirichlet(np.ones(BLANK + 1), frames)).astype(np.float32)
    lines = [["abc"[k] for k in rng.integers(3, size=4)] for _ in range(6)]
    model = train_ngram(lines, order=order, symbols="abc")
    return log_probs, make_grammar(model, PhoneTable(tuple("abc")))


@pytest.mark.parametrize("seed, order", [(0, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize(
    "scale, weight, penalty", [(1.0, 1.0, 0.0), (0.6, 2.0, -0.5), (1.0, 0.0, 1.0)]
)
def test_a_beam_of_all_prefixes_is_exact(seed, order, scale, weight, penalty):
    log_probs, grammar = random_case(seed, order)
    grammar = grammar.weighted(weight, penalty)
    every = sequences(log_probs)
    wanted = {
        line: scale * score + grammar.score(line) for line, score in every.items()
    }
    found = prefix_beam(log_probs, grammar, width=len(every), scale=scale)
    scores = [prefix.score for prefix in found]
    assert scores == pytest.approx(sorted(wanted.values())[::-1], abs=FLOAT32_SUM)
    lines = {tuple(prefix.phones): prefix.score for prefix in found}
    assert lines == pytest.approx(wanted, abs=FLOAT32_SUM)


def test_a_narrow_beam_never_claims_more_than_there_is():
    log_probs, grammar = random_case(4, 2)
    every = sequences(log_probs)
    for prefix in prefix_beam(log_probs, grammar, width=3):
        whole = every[tuple(prefix.phones)] + grammar.score(prefix.phones)
        assert prefix.score <= whole + FLOAT32_SUM


def test_sums_over_alignments_beat_the_best_path():
    # The best path is all blank, 0.55 ** 2; but "a" has three: a_, _a and aa.
    frame = [0.44, 0.005, 0.005, 0.55]
    log_probs = np.log(np.array([frame, frame], np.float32))
    best = prefix_beam(log_probs, flat_grammar(3), width=8)[0]
    assert best.phones == [0]
    assert np.exp(best.score) == pytest.approx(2 * 0.44 * 0.55 + 0.44**2, abs=1e-6)


def test_the_tree_of_prefixes_grows_as_needed():
    rng = np.random.default_rng(0)
    labels = np.arange(3000) % 3
    scores = rng.normal(scale=0.1, size=(3000, 4))
    scores[np.arange(3000), labels] += 9.0
    log_probs = scores - np.logaddexp.reduce(scores, axis=1)[:, None]
    best = prefix_beam(log_probs.astype(np.float32), flat_grammar(3), width=8)[0]
    assert best.phones == labels.tolist()


def test_no_frames_give_no_phones():
    assert prefix_beam(np.zeros((0, 4)), flat_grammar(3), width=4)[0].phones == []
