"""What the engine asks of a cell, and what it is given to run over."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

Tensors = Sequence[tf.Tensor]


class Frame(NamedTuple):
    """What `Recurrence.backward` may look at.

    Attributes:
        before, after: states before the frame, and after it as the cell made them.
        saved: what `forward` gave to be saved.
        constants: see `Recurrence`.
    """

    before: Tensors
    after: Tensors
    saved: Tensors
    constants: Tensors


class Stacked:
    """What the frames of a chunk gave, as products along all of them want it.

    On the left of a product columns are fastest, on the right rows.

    Args:
        frames: [T, N, B].
    """

    def __init__(self, frames: tf.Tensor) -> None:
        self._frames = frames

    @cached_property
    def columns(self) -> tf.Tensor:
        """[N, T * B]."""
        turned = tf.transpose(self._frames, [1, 0, 2])
        return tf.reshape(turned, [self._frames.shape[1], -1])

    @cached_property
    def rows(self) -> tf.Tensor:
        """[T * B, N]."""
        turned = tf.transpose(self._frames, [0, 2, 1])
        return tf.reshape(turned, [-1, self._frames.shape[1]])


class Recurrence(Protocol):
    """What the engine asks of a cell. Every tensor is of columns.

    `weights` are as `Cell.columns` gives them, `turned` their transposes, `constants`
    whatever [.., B] the layer hands over that stays the same from frame to frame.
    """

    @property
    def saved_sizes(self) -> list[int]:
        """Rows of each tensor that `forward` gives to be saved."""

    @property
    def gradient_size(self) -> int:
        """Rows of the gradients that `backward` gives first."""

    @property
    def more_sizes(self) -> list[int]:
        """Rows of each tensor that `backward` gives last."""

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """The states after a frame, the output first, and what `backward` wants to know."""

    def backward(
        self, grads: Tensors, frame: Frame, weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """From gradients of the states after a frame: of z, of the states before, and more.

        The last G rows of what comes first are the gradient of z. It and what comes third
        are handed to `weight_gradients`, all frames of a chunk at once.
        """

    def weight_gradients(self, found: Stacked, more: Sequence[Stacked]) -> Tensors:
        """The gradient of every recurrent weight, from many frames."""


class Sequences(NamedTuple):
    """What the engine runs over, batch first.

    Attributes:
        inputs: [B, T, F], or with no kernel [B, T, G], the products of the inputs.
        first: states before the first frame, [B, N_k].
        mask: [B, T] bool; where False the states stay as they are. None: all True.
        holds: for each state the share of its old value that it keeps (zoneout): None, a
            number, or [B, T, N_k].
        constants: [B, ..] each.
    """

    inputs: tf.Tensor
    first: Tensors
    mask: tf.Tensor | None = None
    holds: Sequence[Any] = ()
    constants: Tensors = ()


class Weights(NamedTuple):
    """What the engine multiplies by, of columns.

    Attributes:
        kernel: [G, F] for the inputs; None when the inputs are products already.
        bias: [G, 1] or None.
        recurrent: what the cell's steps take.
    """

    kernel: tf.Tensor | None
    bias: tf.Tensor | None
    recurrent: Tensors
