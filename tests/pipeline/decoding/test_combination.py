import numpy as np
import pytest

from pipeline.decoding.combination import pool

FLOAT32 = 1e-6


def distributions(seed, *, shape=(4, 3)):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(shape[1]), shape[0]).astype(np.float32)


def test_a_mean_is_the_mean_of_probabilities():
    a, b = distributions(0), distributions(1)
    found = np.exp(pool([np.log(a), np.log(b)], [0.25, 0.75], "mean"))
    assert found == pytest.approx(0.25 * a + 0.75 * b, abs=FLOAT32)


def test_a_product_is_the_geometric_mean_made_a_distribution():
    a, b = distributions(0), distributions(1)
    found = np.exp(pool([np.log(a), np.log(b)], [0.25, 0.75], "product"))
    wanted = a**0.25 * b**0.75
    wanted /= wanted.sum(axis=1, keepdims=True)
    assert found == pytest.approx(wanted, abs=FLOAT32)
    assert found.dtype == np.float32


@pytest.mark.parametrize("how", ["mean", "product"])
def test_one_system_alone_stays_as_it_is(how):
    a, b = np.log(distributions(0)), np.log(distributions(1))
    assert pool([a, b], [1.0, 0.0], how) == pytest.approx(a, abs=FLOAT32)
    assert pool([a, a], [0.5, 0.5], how) == pytest.approx(a, abs=FLOAT32)


def test_what_a_model_excludes_stays_excluded_where_it_has_no_vote():
    sure = np.log(np.array([[1.0, 1e-30]]))
    sure[0, 1] = -np.inf
    fair = np.log(np.array([[0.5, 0.5]]))
    assert np.exp(pool([sure, fair], [0.5, 0.5], "mean"))[0, 1] == pytest.approx(0.25)
    assert np.exp(pool([sure, fair], [0.5, 0.5], "product"))[0, 1] == 0.0
    assert np.exp(pool([sure, fair], [0.0, 1.0], "product"))[0, 1] == pytest.approx(0.5)
