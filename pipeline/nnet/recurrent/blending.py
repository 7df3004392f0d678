"""What a state keeps of its old value at a frame: all where masked, else by zoneout."""

from typing import Any

import tensorflow as tf

from pipeline.nnet.recurrent.chunks import at
from pipeline.nnet.recurrent.protocol import Sequences, Tensors


class Blend:
    """Blends new states with old, and deals gradients to both.

    Args:
        sequences: whose mask and holds are used.
        count: how many states there are.
    """

    def __init__(self, sequences: Sequences, count: int) -> None:
        holds = list(sequences.holds) or [None] * count
        dtype = sequences.inputs.dtype
        self.mask = (
            None
            if sequences.mask is None
            else tf.transpose(sequences.mask)[:, None, :]  # [T, 1, B]
        )
        self.holds = [
            (
                tf.transpose(tf.cast(hold, dtype), [1, 2, 0])  # [T, N_k, B]
                if getattr(hold, "shape", ())
                else hold
            )
            for hold in holds
        ]
        # Whether a state of a real frame is not what the cell made of it.
        self.mixes = any(hold is not None for hold in self.holds)

    def _hold(self, number: int, time: Any) -> Any:
        hold = self.holds[number]
        return at(hold, time) if getattr(hold, "shape", ()) else hold

    def _real(self, time: Any) -> tf.Tensor | None:
        return None if self.mask is None else at(self.mask, time)

    def states(self, time: Any, new: Tensors, old: Tensors) -> Tensors:
        """The states after the frame: what the cell made of them, and what is kept."""
        blended, real = [], self._real(time)
        for number, (n, o) in enumerate(zip(new, old, strict=True)):
            hold = self._hold(number, time)
            if hold is not None:
                n = hold * o + (1.0 - hold) * n
            if real is not None:
                n = tf.where(real, n, o)
            n.set_shape(o.shape)
            blended.append(n)
        return blended

    def gradients(self, time: Any, grads: Tensors) -> tuple[Tensors, Tensors]:
        """Of what the cell made, and of the old states where they were kept (or None)."""
        made, passed, real = [], [], self._real(time)
        for number, grad in enumerate(grads):
            hold, kept = self._hold(number, time), None
            if real is not None:
                seen = tf.where(real, grad, tf.zeros([], grad.dtype))
                kept, grad = grad - seen, seen
            if hold is not None:
                zoned = hold * grad
                kept = zoned if kept is None else kept + zoned
                grad = grad - zoned
            made.append(grad)
            passed.append(kept)
        return made, passed
