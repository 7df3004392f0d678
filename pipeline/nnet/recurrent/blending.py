"""What a state keeps of its old value at a frame: all where masked, else by zoneout."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import tensorflow as tf

from pipeline.nnet.recurrent.chunks import at
from pipeline.nnet.recurrent.protocol import Sequences, Tensors


class Blend(NamedTuple):
    """Blends new states with old, and deals gradients to both.

    Attributes:
        mask: [T, 1, B] bool, or None.
        holds: of each state None, a number, or [T, N_k, B].
    """

    mask: tf.Tensor | None
    holds: Sequence[Any]

    @classmethod
    def of(cls, sequences: Sequences, count: int) -> Self:
        """By the mask and the holds of sequences with `count` states."""
        holds = list(sequences.holds) or [None] * count
        dtype = sequences.inputs.dtype
        return cls(
            (
                None
                if sequences.mask is None
                else tf.transpose(sequences.mask)[:, None, :]
            ),
            [
                (
                    tf.transpose(tf.cast(hold, dtype), [1, 2, 0])
                    if getattr(hold, "shape", ())
                    else hold
                )
                for hold in holds
            ],
        )

    @property
    def mixes(self) -> bool:
        """Whether a state of a real frame is not what the cell made of it."""
        return any(hold is not None for hold in self.holds)

    def unmasked(self) -> Self:
        """The same for frames that are real in every row."""
        return self._replace(mask=None)

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
