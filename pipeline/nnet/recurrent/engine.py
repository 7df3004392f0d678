"""One engine for every recurrent cell: what is large is done before and after the recurrence.

The input product of all frames is one matrix product before the loop. The loop over frames
does only what depends on the state. Its gradient is derived by hand: the loop back through
time carries the state's gradient alone, and every weight gradient is one product over all
frames after it.
"""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

Tensors = Sequence[tf.Tensor]


class Recurrence(Protocol):
    """What the engine asks of a cell. Rows are [B, …] in a step, [T * B, …] over all frames.

    Attributes:
        num_more: tensors that `backward` hands to `weight_gradients` beside dz.
    """

    num_more: int

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        """The states after a frame, the output first, and what `backward` wants to know."""

    def backward(
        self, after: Tensors, before: Tensors, saved: Tensors, weights: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """From gradients of the states after a frame: of z, of the states before, and more.

        `weights` are transposed: a product with a matrix turned once is several times as
        fast as one that turns it at every frame.
        """

    def weight_gradients(
        self, dz: tf.Tensor, before: Tensors, saved: Tensors, more: Tensors
    ) -> Tensors:
        """The gradient of every weight, from all frames at once."""


def _stack_loop(
    body: object, states: Tensors, num_outputs: int, length: tf.Tensor, *, reverse: bool
) -> tuple[Tensors, Tensors]:
    """Runs `body(t, states) -> (states, outputs)` over all frames; outputs come stacked."""
    arrays = tuple(
        tf.TensorArray(states[0].dtype, size=length, element_shape=None)
        for _ in range(num_outputs)
    )

    def step(
        number: tf.Tensor, states: Tensors, arrays: Tensors
    ) -> tuple[tf.Tensor, ...]:
        time = length - 1 - number if reverse else number
        states, outputs = body(time, states)  # type: ignore[operator]
        written = tuple(a.write(time, o) for a, o in zip(arrays, outputs, strict=True))
        return number + 1, tuple(states), written

    _, states, arrays = tf.while_loop(
        lambda number, *_: number < length,
        step,
        (tf.constant(0), tuple(states), arrays),
        maximum_iterations=length,
    )
    return states, tuple(a.stack() for a in arrays)


def _rows(sequence: tf.Tensor) -> tf.Tensor:
    """[T, B, N] to [T * B, N]."""
    return tf.reshape(sequence, [-1, sequence.shape[-1]])


def run(
    cell: Recurrence,
    z: tf.Tensor,
    mask: tf.Tensor | None,
    states: Tensors,
    weights: Tensors,
) -> tuple[tf.Tensor, Tensors]:
    """Runs a cell over time.

    Args:
        cell: the recurrence.
        z: [T, B, G] products of the inputs.
        mask: [T, B] bool; where False the states stay as they are.
        states: [B, N_k] before the first frame, the output first.
        weights: what multiplies the state.

    Returns:
        Outputs [T, B, N_0], and the states after the last frame.
    """
    count = len(states)
    kept = None if mask is None else tf.cast(mask[..., None], z.dtype)  # [T, B, 1]

    @tf.custom_gradient
    def sequence(
        z: tf.Tensor, *arguments: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, ...], object]:
        first, weights = arguments[:count], arguments[count:]
        length = tf.shape(z)[0]
        num_saved = len(cell.forward(z[0], first, weights)[1])

        def step(time: tf.Tensor, states: Tensors) -> tuple[Tensors, Tensors]:
            new, saved = cell.forward(z[time], states, weights)
            if mask is not None:
                new = [
                    tf.where(mask[time][:, None], n, s)
                    for n, s in zip(new, states, strict=True)
                ]
            return new, (*new, *saved)

        last, stacked = _stack_loop(
            step, first, count + num_saved, length, reverse=False
        )
        after, saved = stacked[:count], stacked[count:]

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> list[tf.Tensor]:
            turned = [tf.transpose(weight) for weight in weights]
            before = [
                tf.concat([f[None], a[:-1]], 0)
                for f, a in zip(first, after, strict=True)
            ]

            def back(time: tf.Tensor, later: Tensors) -> tuple[Tensors, Tensors]:
                grads = [later[0] + d_outputs[time], *later[1:]]
                passed = []
                if kept is not None:
                    passed = [g * (1.0 - kept[time]) for g in grads]
                    grads = [g * kept[time] for g in grads]
                dz, earlier, more = cell.backward(
                    grads,
                    [b[time] for b in before],
                    [s[time] for s in saved],
                    turned,
                )
                if kept is not None:
                    earlier = [e + p for e, p in zip(earlier, passed, strict=True)]
                return earlier, (dz, *more)

            num_more = cell.num_more
            d_first, stacked = _stack_loop(
                back, d_last, 1 + num_more, length, reverse=True
            )
            dz, more = stacked[0], stacked[1:]
            d_weights = cell.weight_gradients(
                _rows(dz),
                [_rows(b) for b in before],
                [_rows(s) for s in saved],
                [_rows(m) for m in more],
            )
            return [dz, *d_first, *d_weights]

        return (after[0], *last), gradient

    outputs, *last = sequence(z, *states, *weights)
    return outputs, last
