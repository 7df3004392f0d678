"""Learning rates against values worked out by hand."""

import math

import pytest

from pipeline.nnet.config import ScheduleOptions
from pipeline.nnet.schedules import Newbob, stepwise_rate


def test_exponential_falls_by_the_same_factor_to_the_final_fraction():
    options = ScheduleOptions(type="exponential", final_fraction=0.01)
    rates = [stepwise_rate(options, peak=2.0, step=s, total=4) for s in range(5)]
    assert rates == pytest.approx([2.0, 2.0 * 0.01**0.25, 0.2, 2.0 * 0.01**0.75, 0.02])


def test_onecycle_rises_to_the_peak_and_falls_to_the_final_fraction():
    options = ScheduleOptions(type="onecycle", warmup=0.25, final_fraction=0.1)
    rates = [stepwise_rate(options, peak=1.0, step=s, total=8) for s in range(9)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[1] == pytest.approx(0.1 + 0.9 / 2)  # half of the way up on a cosine
    assert rates[2] == pytest.approx(1.0)
    assert rates[5] == pytest.approx(0.1 + 0.9 / 2)
    assert rates[8] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_constant_stays():
    assert stepwise_rate(ScheduleOptions(), peak=0.3, step=7, total=9) == 0.3


# dev loss -> (rate after it, accepted, stopped), as Kaldi's steps/nnet/train_scheduler.sh does
NEWBOB = [
    (2.0, 1.0, True, False),  # nothing to compare with
    (1.0, 1.0, True, False),  # halved the loss: hold
    (0.995, 0.5, True, False),  # gained 0.5 % < 1 %: halve from now on
    (0.9, 0.25, True, False),  # a large gain does not end the halving
    (0.95, 0.125, False, True),  # worse: rejected, and under the 0.1 % that ends it
]


def test_newbob_holds_halves_rejects_and_stops():
    state = Newbob(rate=1.0)
    options = ScheduleOptions(type="newbob")
    for loss, rate, accepted, stopped in NEWBOB:
        state = state.after(loss, options)
        assert (state.rate, state.accepted, state.stopped) == (rate, accepted, stopped)
    assert state.best == 0.9


def test_newbob_rejects_a_loss_that_is_not_a_number():
    state = Newbob(rate=1.0, best=2.0).after(math.nan, ScheduleOptions(type="newbob"))
    assert not state.accepted
    assert state.best == 2.0
