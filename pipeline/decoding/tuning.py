"""The choice of LM weight and insertion penalty: a coarse sweep, then a walk downhill."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

WEIGHTS = (0.0, 1.0, 2.0, 4.0)
PENALTIES = (-2.0, 0.0, 2.0, 4.0)
_STEP = 0.5


@dataclass(frozen=True)
class Trial:
    """What one pair of settings costs; trials are ordered best first.

    Attributes:
        cost: to be made small.
        lm_weight, insertion_penalty: the settings.
    """

    cost: float
    lm_weight: float
    insertion_penalty: float

    @property
    def _key(self) -> tuple[float, float, float, float]:
        # Of equally good settings the mildest, so that the choice never hangs on the order.
        penalty = self.insertion_penalty
        return self.cost, self.lm_weight, abs(penalty), penalty

    def __lt__(self, other: "Trial") -> bool:
        return self._key < other._key


def sweep(
    cost: Callable[[float, float], float], *, weights: tuple[float, ...] = WEIGHTS
) -> list[Trial]:
    """Looks for the LM weight and insertion penalty of the lowest cost.

    The corners of a coarse grid first; then from the best on, in steps of a half, to the best
    of the neighbours until none is better. So the grid's edge is no limit.

    Args:
        cost: of an LM weight (>= 0) and an insertion penalty; asked once for each pair.
        weights: LM weights of the grid; a single one is kept as it is.

    Returns:
        All trials, best first.
    """
    trials: dict[tuple[float, float], Trial] = {}

    def tried(weight: float, penalty: float) -> Trial:
        if (weight, penalty) not in trials:
            value = cost(weight, penalty)
            trials[weight, penalty] = Trial(value, weight, penalty)
        return trials[weight, penalty]

    best = min(tried(*pair) for pair in product(weights, PENALTIES))
    moves = (0.0,) if len(weights) == 1 else (-_STEP, 0.0, _STEP)
    while True:
        around = [
            tried(best.lm_weight + move, best.insertion_penalty + shift)
            for move in moves
            for shift in (-_STEP, 0.0, _STEP)
            if best.lm_weight + move >= 0.0
        ]
        if min(around).cost >= best.cost:
            return sorted(trials.values())
        best = min(around)
