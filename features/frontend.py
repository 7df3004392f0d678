"""From stored features to network input: normalise, differentiate, splice, stack."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from features.dynamics import deltas, splice, stack
from features.normalize import CmvnStats, apply_cmvn

# More is a slip of the pen: 1000 frames are ten seconds.
Count = Annotated[int, Field(ge=0, le=1000)]
Positive = Annotated[int, Field(gt=0, le=1000)]


@dataclass(frozen=True, kw_only=True)
class FrontendOptions:
    """What is done to features on their way into a network, in this order.

    Attributes:
        cmvn: over which frames mean and variance are taken.
        norm_vars: whether variances are normalised too.
        deltas: order of the time derivatives appended.
        splice_left, splice_right: neighbours joined to each frame.
        stack: frames joined to one network frame.
        skip: frames from one network frame to the next.
    """

    __pydantic_config__ = {"extra": "forbid"}

    cmvn: Literal["none", "global", "speaker", "utterance"] = "speaker"
    norm_vars: bool = True
    deltas: Annotated[int, Field(ge=0, le=2)] = 0
    splice_left: Count = 0
    splice_right: Count = 0
    stack: Positive = 1
    skip: Positive = 1

    def output_dim(self, dim: int) -> int:
        """The width of a network frame made from features of dimension `dim`."""
        return (
            dim
            * (1 + self.deltas)
            * (self.splice_left + 1 + self.splice_right)
            * self.stack
        )


def transform(
    frames: np.ndarray, stats: CmvnStats | None, options: FrontendOptions
) -> np.ndarray:
    """Makes network input of stored features.

    Args:
        frames: [T, F] float32, T >= 1.
        stats: for CMVN; None leaves it out.
        options: what to do.

    Returns:
        [ceil(T / skip), options.output_dim(F)] float32.
    """
    outputs = frames.astype(np.float32, copy=False)
    if stats is not None:
        outputs = apply_cmvn(outputs, stats, norm_vars=options.norm_vars)
    if options.deltas:
        outputs = deltas(outputs, order=options.deltas)
    if options.splice_left or options.splice_right:
        outputs = splice(outputs, left=options.splice_left, right=options.splice_right)
    if options.stack > 1 or options.skip > 1:
        outputs = stack(outputs, count=options.stack, skip=options.skip)
    return np.ascontiguousarray(outputs)


def subsample_labels(labels: np.ndarray, *, skip: int) -> np.ndarray:
    """The label in the middle of each group of `skip` frames.

    Args:
        labels: [T].
        skip: as in the front end.

    Returns:
        [ceil(T / skip)]; a last group cut short gives its last label.
    """
    middles = np.arange(0, len(labels), skip) + skip // 2
    return labels[np.minimum(middles, len(labels) - 1)]
