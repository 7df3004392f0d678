"""The passes over time: forward, forward with all kept that the gradient needs, and back."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import tensorflow as tf

from pipeline.nnet.recurrent.blending import Blend
from pipeline.nnet.recurrent.chunks import Chunks, arrays_of, at, read_all, write_all
from pipeline.nnet.recurrent.products import suited
from pipeline.nnet.recurrent.protocol import (
    Frame,
    Recurrence,
    Stacked,
    Tensors,
    Weights,
)

Arrays = tuple[tf.TensorArray, ...]


class Pass(NamedTuple):
    """What a pass runs over.

    Attributes:
        cell: the recurrence.
        chunks: how time is cut.
        rows: of every chunk, [count, size * B, F]; see `Chunks.cut`.
        weights: in columns.
        constants: in columns.
        blend: masks and zoneout.
    """

    cell: Recurrence
    chunks: Chunks
    rows: tf.Tensor
    weights: Weights
    constants: Tensors
    blend: Blend

    @property
    def width(self) -> int:
        """G, the rows of z."""
        kernel = self.weights.kernel
        return self.rows.shape[-1] if kernel is None else kernel.shape[0]

    def products(self, number: Any) -> tf.Tensor:
        """z of a chunk, [size, G, B]: a frame of it is a part of its memory, and no copy."""
        rows, (kernel, bias, _) = at(self.rows, number), self.weights
        if kernel is None:
            z = tf.transpose(rows)
        else:
            z = tf.matmul(kernel, rows, transpose_b=True)
        if bias is not None:
            z += bias
        frames = tf.reshape(z, [self.width, self.chunks.size, -1])
        return tf.transpose(frames, [1, 0, 2])


class Stores(NamedTuple):
    """What the forward pass leaves behind.

    Attributes:
        states: of each state an array [T + 1] of [N_k, B], the first state first.
        made: of each state an array [T], as the cell made it before it was mixed with the
            old; empty where nothing is mixed. (Where a mask holds the old state, the gradient
            of what the cell made is nought whatever that was.)
        saved: arrays [T].
    """

    states: Arrays
    made: Arrays
    saved: Arrays

    def readable(self) -> Self:
        """The same, for a graph too that goes back over what was run eagerly.

        `tf.GradientTape.jacobian` makes one; arrays of eager execution are lists there.
        """
        if tf.executing_eagerly() or tf.is_symbolic_tensor(self.states[0].flow):
            return self
        return type(self)(*(tuple(map(_array_of, arrays)) for arrays in self))


def _array_of(eager: tf.TensorArray) -> tf.TensorArray:
    """An array of eager execution as one of the graph."""
    frames = eager.stack()
    array = tf.TensorArray(
        frames.dtype, size=frames.shape[0], element_shape=frames.shape[1:]
    )
    return array.unstack(frames)


def _over_frames(
    this: Pass, first: Tensors, weights: Tensors, stores: Any, write: Any
) -> tuple[Tensors, Any]:
    """The last states, and the stores after `write(stores, time, states, made, saved)`."""

    def chunk(number: Any, values: Any) -> Any:
        z, start = this.products(number), number * this.chunks.size
        end = this.chunks.frames_in(number)

        def frame(index: tf.Tensor, states: Tensors, stores: Any) -> Any:
            made, saved = this.cell.forward(
                at(z, index), states, weights, this.constants
            )
            new = this.blend.states(start + index, made, states)
            stores = write(stores, start + index, new, made, saved)
            return index + 1, tuple(new), stores

        return tf.while_loop(
            lambda index, *_: index < end,
            frame,
            (tf.constant(0), *values),
            maximum_iterations=this.chunks.size,
        )[1:]

    return this.chunks.run(chunk, (tuple(first), stores))


def forward(this: Pass, first: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Outputs [T, N_0, B] and last states."""
    outputs = arrays_of([first[0].shape[0]], this.chunks.length, first[0])
    last, (outputs,) = _over_frames(
        this,
        first,
        this.weights.recurrent,
        outputs,
        lambda stores, time, states, *_: write_all(stores, time, states[:1]),
    )
    return outputs.stack(), last


def forward_keeping(this: Pass, first: Tensors) -> tuple[tf.Tensor, Tensors, Stores]:
    """Outputs [T, N_0, B], last states, and what `backward` needs."""
    length, like = this.chunks.length, first[0]
    sizes = [state.shape[0] for state in first]
    stores = Stores(
        write_all(arrays_of(sizes, length + 1, like), 0, first),
        arrays_of(sizes, length, like) if this.blend.mixes else (),
        arrays_of(this.cell.saved_sizes, length, like),
    )

    def write(stores: Stores, time: Any, states: Any, made: Any, saved: Any) -> Stores:
        return Stores(
            write_all(stores.states, time + 1, states),
            write_all(stores.made, time, made) if stores.made else (),
            write_all(stores.saved, time, saved),
        )

    weights = [suited(weight) for weight in this.weights.recurrent]
    last, stores = _over_frames(this, first, weights, stores, write)
    return stores.states[0].stack()[1:], last, stores


def _back_one(
    this: Pass, stores: Stores, turned: Tensors, time: Any, later: Tensors
) -> tuple[tf.Tensor, Tensors, Tensors]:
    """Gradients of z, of the states before the frame, and what the weights' need."""
    made = this.blend.made(time, later)
    frame = Frame(
        read_all(stores.states, time),
        read_all(stores.made, time) or read_all(stores.states, time + 1),
        read_all(stores.saved, time),
        this.constants,
    )
    dz, found, more = this.cell.backward(made, frame, this.weights.recurrent, turned)
    return dz, this.blend.before(time, found, later), more


def _chunk_gradients(
    this: Pass, number: Any, turned: Any, found: Stacked, more: Sequence[Stacked]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Of a chunk's rows [size * B, F], and of the weights, from what its frames gave.

    `turned` is the kernel [F, G]: a product with a matrix that must be turned is slower.
    """
    kernel, bias, _ = this.weights
    dz = found.columns[-this.width :]
    given, d_columns = [], dz
    if kernel is not None:
        d_columns = turned @ dz
        given.append(dz @ at(this.rows, number))
    if bias is not None:
        given.append(tf.reduce_sum(dz, 1, keepdims=True))
    return tf.transpose(d_columns), [*given, *this.cell.weight_gradients(found, more)]


def backward(
    this: Pass, stores: Stores, d_outputs: tf.Tensor, d_last: Tensors
) -> list[tf.Tensor]:
    """Gradients of the rows, of the first states and of the weights.

    Args:
        this: the pass that was made.
        stores: what it kept.
        d_outputs: gradient of the outputs, [T, N_0, B].
        d_last: gradients of the last states.
    """
    cell, chunks, stores = this.cell, this.chunks, stores.readable()
    given = [w for w in this.weights[:2] if w is not None]
    sums = tuple(tf.zeros_like(w) for w in (*given, *this.weights.recurrent))
    turned = [suited(tf.transpose(weight)) for weight in this.weights.recurrent]
    kernel = this.weights.kernel
    turned_kernel = None if kernel is None else tf.transpose(kernel)
    sizes = [cell.gradient_size, *cell.more_sizes]
    d_rows = tf.TensorArray(
        d_outputs.dtype, size=chunks.count, element_shape=this.rows.shape[1:]
    )

    def chunk(number: Any, values: Any) -> Any:
        states, sums, d_rows = values
        start, end = number * chunks.size, chunks.frames_in(number)

        def frame(back: tf.Tensor, states: Tensors, arrays: Arrays) -> Any:
            index = end - 1 - back
            time = start + index
            later = [states[0] + at(d_outputs, time), *states[1:]]
            dz, before, more = _back_one(this, stores, turned, time, later)
            return back + 1, tuple(before), write_all(arrays, index, (dz, *more))

        _, states, arrays = tf.while_loop(
            lambda back, *_: back < end,
            frame,
            # What fills up the last chunk is never written, and so nought.
            (tf.constant(0), states, arrays_of(sizes, chunks.size, d_outputs[0])),
            maximum_iterations=chunks.size,
        )
        found, *more = [Stacked(array.stack()) for array in arrays]
        of_rows, of_weights = _chunk_gradients(this, number, turned_kernel, found, more)
        sums = tuple(s + g for s, g in zip(sums, of_weights, strict=True))
        return states, sums, d_rows.write(number, of_rows)

    states, sums, d_rows = chunks.run(
        chunk, (tuple(d_last), sums, d_rows), reverse=True
    )
    return [d_rows.stack(), *states, *sums]
