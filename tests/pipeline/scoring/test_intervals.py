import numpy as np
import pytest

from features.errors import DataError
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.intervals import bootstrap_interval

SAMPLING = 0.4  # percent; the spread of a percentile of 10,000 draws, with room


def speakers(rng, count, tokens):
    errors = rng.binomial(tokens, 0.2, size=count)
    return [ErrorCounts(hits=tokens - e, substitutions=e) for e in errors.tolist()]


def test_the_interval_agrees_with_the_normal_approximation():
    groups = speakers(np.random.default_rng(0), count=200, tokens=100)
    rates = np.array([group.rate for group in groups])  # equal tokens: a mean of rates
    half = 1.96 * rates.std() / np.sqrt(len(rates))
    found = bootstrap_interval(groups)
    assert found.low == pytest.approx(rates.mean() - half, abs=SAMPLING)
    assert found.high == pytest.approx(rates.mean() + half, abs=SAMPLING)
    assert found.replicates == 10_000


def test_all_draws_of_a_tiny_set_are_enumerated():
    # Two speakers: rates 0 and 100 with a quarter each, 50 with half.
    groups = [ErrorCounts(hits=10), ErrorCounts(substitutions=10)]
    found = bootstrap_interval(groups)
    assert (found.low, found.high) == (0.0, 100.0)


def test_the_same_counts_give_the_same_interval():
    groups = speakers(np.random.default_rng(1), count=24, tokens=300)
    assert bootstrap_interval(groups) == bootstrap_interval(groups)


def test_it_says_what_was_drawn():
    groups = [ErrorCounts(hits=3, deletions=1)] * 2
    line = bootstrap_interval(groups, unit="utterances", replicates=50).line()
    assert line == (
        "95 % interval 25.00 to 25.00, bootstrap over 2 utterances, 50 replicates"
    )


def test_empty_references_are_refused():
    with pytest.raises(DataError, match="references are empty"):
        bootstrap_interval([ErrorCounts(insertions=1)])
