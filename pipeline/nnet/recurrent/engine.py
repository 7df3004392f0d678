"""One engine for every recurrent cell: what is large is done before and after the recurrence.

Inside the engine a frame is a matrix of columns, [N, B], for a product with a matrix on the
left of a few columns is much faster on a CPU than its transpose. Frames are taken in chunks:
the input product of a chunk is one matrix product before its frames are run, and each
weight's gradient one product after they were run backwards, small enough to stay in the
cache. The gradient is derived by hand: the loop back through time carries the gradient of
the state alone. The rows of a batch are dealt to `shards` loops that run side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pipeline.nnet.recurrent.blending import Blend
from pipeline.nnet.recurrent.chunks import Chunks
from pipeline.nnet.recurrent.passes import Pass, backward, forward, forward_keeping
from pipeline.nnet.recurrent.protocol import Recurrence, Sequences, Tensors, Weights


def run(
    cell: Recurrence,
    sequences: Sequences,
    weights: Weights,
    *,
    keep: bool = True,
    shards: int = 1,
) -> tuple[tf.Tensor, Tensors]:
    """Runs a cell over time.

    Args:
        cell: the recurrence.
        sequences: inputs, states, masks.
        weights: in columns.
        keep: keep what the hand-derived gradient needs. Without, memory does not grow with
            T but by the outputs, and a gradient is TensorFlow's own: slow, and exact to any order.
        shards: loops side by side, each with its part of the rows.

    Returns:
        Outputs [B, T, N_0], and the states after the last frame, [B, N_k].
    """
    parts = [_run_shard(cell, part, weights, keep) for part in _deal(sequences, shards)]
    if len(parts) == 1:
        return parts[0]
    outputs = tf.concat([part[0] for part in parts], 0)
    states = zip(*(part[1] for part in parts), strict=True)
    return outputs, [tf.concat(state, 0) for state in states]


def _deal(sequences: Sequences, shards: int) -> list[Sequences]:
    """The rows of a batch in nearly equal parts."""
    if shards == 1:
        return [sequences]
    rows = sequences.inputs.shape[0]
    if rows is None:
        rows = tf.shape(sequences.inputs)[0]
    ends = [rows * (n + 1) // shards for n in range(shards)]
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def split(value: Any) -> list[Any]:
        if value is None or not getattr(value, "shape", ()):
            return [value] * shards
        return tf.split(value, sizes, num=shards)

    def split_all(values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return list(zip(*map(split, values), strict=True)) or [()] * shards

    return [
        Sequences(*fields)
        for fields in zip(
            split(sequences.inputs),
            split_all(sequences.first),
            split(sequences.mask),
            split_all(sequences.holds),
            split_all(sequences.constants),
            strict=True,
        )
    ]


def _run_shard(
    cell: Recurrence, sequences: Sequences, weights: Weights, keep: bool
) -> tuple[tf.Tensor, Tensors]:
    """Runs all rows in one loop; see `run`."""
    frames = tf.transpose(sequences.inputs, [1, 0, 2])  # [T, B, F]
    length, batch = (
        tf.shape(frames)[axis] if frames.shape[axis] is None else frames.shape[axis]
        for axis in (0, 1)
    )
    chunks = Chunks.of(length, batch)
    first = [tf.transpose(state) for state in sequences.first]
    constants = [tf.transpose(constant) for constant in sequences.constants]
    blend = Blend(sequences, [state.shape[0] for state in first])
    given = [w for w in (weights.kernel, weights.bias) if w is not None]
    count = len(first)

    def pass_of(arguments: Tensors) -> tuple[Pass, Tensors]:
        rows, *rest = arguments
        states, rest = rest[:count], rest[count:]
        kernel = rest.pop(0) if weights.kernel is not None else None
        bias = rest.pop(0) if weights.bias is not None else None
        parts = Weights(kernel, bias, rest)
        return Pass(cell, chunks, rows, parts, constants, blend), states

    def plain(*arguments: tf.Tensor) -> tuple[tf.Tensor, ...]:
        outputs, last = forward(*pass_of(arguments))
        return (outputs, *last)

    @tf.custom_gradient
    def kept(*arguments: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable[..., Any]]:
        this, states = pass_of(arguments)
        outputs, last, stores = forward_keeping(this, states)

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> list[tf.Tensor]:
            return backward(this, stores, d_outputs, d_last)

        return (outputs, *last), gradient

    outputs, *last = (kept if keep else plain)(
        chunks.cut(frames), *first, *given, *weights.recurrent
    )
    return tf.transpose(outputs, [2, 0, 1]), [tf.transpose(state) for state in last]
