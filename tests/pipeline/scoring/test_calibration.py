import math

import numpy as np
import pytest

from features.errors import DataError
from pipeline.scoring.calibration import calibrate


def test_known_confidences():
    found = calibrate([0.75, 0.75, 0.75, 0.75, 0.2], [True, True, True, False, False])
    assert found.bins[0] == pytest.approx((0.2, 0.3, 1, 0.2, 0.0))
    assert found.bins[1] == pytest.approx((0.7, 0.8, 4, 0.75, 0.75))
    assert found.ece == pytest.approx(0.2 * 0.2)
    prior = -0.6 * math.log2(0.6) - 0.4 * math.log2(0.4)
    loss = -(3 * math.log2(0.75) + math.log2(0.25) + math.log2(0.8)) / 5
    assert found.nce == pytest.approx(1 - loss / prior)


def test_confidences_that_tell_the_truth_are_calibrated():
    rng = np.random.default_rng(0)
    sure = rng.uniform(size=50_000)
    found = calibrate(sure, rng.uniform(size=50_000) < sure)
    assert found.ece < 0.02  # sampling of 5,000 a bin
    assert found.nce > 0.2


def test_certain_and_wrong_is_finite():
    found = calibrate([1.0, 1.0], [True, False])
    assert found.nce == pytest.approx(1 + 0.5 * (math.log2(0.0005) + math.log2(0.9995)))


@pytest.mark.parametrize("values", [[], [1.2], [float("nan")]])
def test_what_is_no_confidence_is_refused(values):
    with pytest.raises(DataError, match="in \\[0, 1\\]"):
        calibrate(values, [True] * len(values))
