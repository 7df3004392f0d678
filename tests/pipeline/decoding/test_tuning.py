import itertools

import pytest

from pipeline.decoding.tuning import PENALTIES, WEIGHTS, Trial, sweep


def bowl(weight, penalty):
    return (weight - 5.5) ** 2 + (penalty + 3.5) ** 2


def test_the_lowest_cost_is_found_outside_of_the_grid():
    asked = []

    def cost(weight, penalty):
        asked.append((weight, penalty))
        return bowl(weight, penalty)

    trials = sweep(cost)
    assert trials[0] == Trial(0.0, 5.5, -3.5)
    assert len(asked) == len(set(asked)) == len(trials)
    assert set(itertools.product(WEIGHTS, PENALTIES)) <= set(asked)


def test_the_found_cost_is_the_lowest_of_all_trials():
    trials = sweep(lambda weight, penalty: round(bowl(weight, penalty) % 7, 1))
    assert trials[0].cost == min(trial.cost for trial in trials)
    assert [t.cost for t in trials] == sorted(t.cost for t in trials)


def test_of_equal_costs_the_mildest_settings_are_taken():
    assert sweep(lambda weight, penalty: 1.0)[0] == Trial(1.0, 0.0, 0.0)


def test_weights_are_never_negative():
    asked = sweep(lambda weight, penalty: weight)
    assert min(trial.lm_weight for trial in asked) == 0.0


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_single_weight_is_kept(weight):
    trials = sweep(lambda w, penalty: abs(penalty - 1.5), weights=(weight,))
    assert {trial.lm_weight for trial in trials} == {weight}
    assert trials[0].insertion_penalty == 1.5
