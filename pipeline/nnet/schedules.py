"""Learning rates: as functions of the step, or of how the dev loss develops."""

import math
from dataclasses import dataclass, replace

from pipeline.nnet.config import ScheduleOptions


def stepwise_rate(
    options: ScheduleOptions, *, peak: float, step: int, total: int
) -> float:
    """The learning rate of a step under `onecycle`, `exponential` or `constant`.

    Args:
        options: which, and its shape.
        peak: the highest learning rate.
        step: steps done, 0 to `total`.
        total: steps of the whole training.

    References:
        Smith & Topin 2019, Super-convergence, for the one cycle (cosine halves here).
    """
    done = min(1.0, step / max(1, total))
    match options.type:
        case "exponential":
            return peak * options.final_fraction**done
        case "onecycle":
            low = peak * options.final_fraction
            if done < options.warmup:
                share = done / options.warmup
            else:
                share = (1.0 - done) / (1.0 - options.warmup)
            return low + (peak - low) * 0.5 * (1.0 - math.cos(math.pi * share))
    return peak


@dataclass(frozen=True)
class Newbob:
    """Kaldi's nnet1 schedule: hold, then halve while it helps, then stop.

    Attributes:
        rate: learning rate of the next epoch.
        best: lowest dev loss of an accepted epoch so far.
        halving: whether halving has begun.
        accepted: whether the last epoch was better than the best before it; when not, its
            weights are put back to the best ones.
        stopped: whether training ends.
    """

    rate: float
    best: float = math.inf
    halving: bool = False
    accepted: bool = True
    stopped: bool = False

    def after(self, dev_loss: float, options: ScheduleOptions) -> "Newbob":
        """The schedule after an epoch with this dev loss."""
        accepted = dev_loss < self.best
        # The first epoch has nothing to be compared with: it counts as a full improvement.
        gain = 1.0 if math.isinf(self.best) else (self.best - dev_loss) / abs(self.best)
        stopped = self.halving and gain < options.stop
        halving = self.halving or gain < options.start_halving
        return replace(
            self,
            rate=self.rate * options.factor if halving else self.rate,
            best=dev_loss if accepted else self.best,
            halving=halving,
            accepted=accepted,
            stopped=stopped,
        )
