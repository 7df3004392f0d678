"""One engine for every recurrent cell: what is large is done before and after the recurrence.

Inside the engine a frame is a matrix of columns, [N, B], for a product with a matrix on the
left of a few columns is much faster on a CPU than its transpose. Frames are taken in chunks of
`CHUNK`: the input product of a chunk is one matrix product before its frames are run, and
each weight's gradient one product after they were run backwards, small enough to stay in
the cache. The gradient is derived by hand: the loop back through time carries the gradient
of the state alone. The rows of a batch are dealt to `shards` loops that run side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

Tensors = Sequence[tf.Tensor]

CHUNK = 32  # frames; 25 to 64 are alike, 100 a third slower: products leave the cache


class Recurrence(Protocol):
    """What the engine asks of a cell. Every tensor is of columns.

    `weights` are as `Cell.columns` gives them, `turned` their transposes, `constants`
    whatever [.., B] the layer hands over that stays the same from frame to frame.
    """

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """The states after a frame, the output first, and what `backward` wants to know."""

    def backward(
        self, grads: Tensors, frame: "Frame", weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """From gradients of the states after a frame: of z, of the states before, and more.

        What comes third is handed to `weight_gradients`, all frames of a chunk at once.
        """

    def weight_gradients(self, dz: tf.Tensor, more: Tensors) -> Tensors:
        """The gradient of every weight from columns of many frames."""


class Frame(NamedTuple):
    """What `backward` may look at.

    Attributes:
        before, after: states before the frame, and after it as the cell made them.
        saved: what `forward` gave to be saved.
        constants: see `Recurrence`.
    """

    before: Tensors
    after: Tensors
    saved: Tensors
    constants: Tensors


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
    first = [tf.transpose(state) for state in sequences.first]
    constants = [tf.transpose(constant) for constant in sequences.constants]
    blend = _Blend(sequences, len(first))
    given = [w for w in (weights.kernel, weights.bias) if w is not None]
    count = len(first)

    def unpack(arguments: Tensors) -> tuple[tf.Tensor, Tensors, Weights]:
        rest = list(arguments[1 + count :])
        kernel = rest.pop(0) if weights.kernel is not None else None
        bias = rest.pop(0) if weights.bias is not None else None
        return arguments[0], arguments[1 : 1 + count], Weights(kernel, bias, rest)

    def plain(*arguments: tf.Tensor) -> tuple[tf.Tensor, ...]:
        inputs, states, parts = unpack(arguments)
        outputs, last, _ = _forward(cell, inputs, states, parts, constants, blend)
        return (outputs, *last)

    @tf.custom_gradient
    def kept(*arguments: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Callable[..., Any]]:
        inputs, states, parts = unpack(arguments)
        outputs, last, stores = _forward(
            cell, inputs, states, parts, constants, blend, keep=True
        )

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> list[tf.Tensor]:
            back = _Backward(cell, inputs, parts, constants, blend, stores, count)
            return back.run(d_outputs, d_last)

        return (outputs, *last), gradient

    outputs, *last = (kept if keep else plain)(
        frames, *first, *given, *weights.recurrent
    )
    return tf.transpose(outputs, [2, 0, 1]), [tf.transpose(state) for state in last]


class _Blend:
    """How much of its old value each state keeps at a frame: all where masked, else zoneout."""

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

        self.idle = self.mask is None and all(hold is None for hold in self.holds)

    def _hold(self, number: int, time: tf.Tensor) -> Any:
        hold = self.holds[number]
        return hold[time] if getattr(hold, "shape", ()) else hold

    def states(self, time: tf.Tensor, new: Tensors, old: Tensors) -> Tensors:
        """The states after the frame: what the cell made of them, and what is kept."""
        blended = []
        for number, (n, o) in enumerate(zip(new, old, strict=True)):
            hold = self._hold(number, time)
            if hold is not None:
                n = hold * o + (1.0 - hold) * n
            if self.mask is not None:
                n = tf.where(self.mask[time], n, o)
            n.set_shape(o.shape)
            blended.append(n)
        return blended

    def gradients(self, time: tf.Tensor, grads: Tensors) -> tuple[Tensors, Tensors]:
        """Of what the cell made, and of the old states where they were kept (or None)."""
        made, passed = [], []
        for number, grad in enumerate(grads):
            hold, kept = self._hold(number, time), None
            if self.mask is not None:
                real = tf.where(self.mask[time], grad, tf.zeros([], grad.dtype))
                kept, grad = grad - real, real
            if hold is not None:
                zoned = hold * grad
                kept = zoned if kept is None else kept + zoned
                grad = grad - zoned
            made.append(grad)
            passed.append(kept)
        return made, passed


def _array(like: tf.Tensor, size: Any) -> tf.TensorArray:
    return tf.TensorArray(
        like.dtype, size=size, element_shape=like.shape, clear_after_read=False
    )


def _over_chunks(
    length: Any, chunk: Callable[..., Any], values: Any, *, reverse: bool = False
) -> Any:
    """Runs `chunk(start, size, values) -> values` over all frames, `CHUNK` at a time.

    The frames left over, one at least, come in a chunk of their own, last in time.
    """
    whole = (length - 1) // CHUNK
    left = length - whole * CHUNK

    def body(number: tf.Tensor, values: Any) -> tuple[tf.Tensor, Any]:
        number_in_time = whole - 1 - number if reverse else number
        return number + 1, chunk(number_in_time * CHUNK, CHUNK, values)

    def most(values: Any) -> Any:
        if isinstance(whole, int) and whole == 0:
            return values
        return tf.while_loop(
            lambda number, _: number < whole,
            body,
            (tf.constant(0), values),
            maximum_iterations=whole,
            parallel_iterations=1,  # a chunk needs the state of the one before
        )[1]

    def rest(values: Any) -> Any:
        return chunk(whole * CHUNK, left, values)

    return most(rest(values)) if reverse else rest(most(values))


def _length(frames: tf.Tensor) -> Any:
    return tf.shape(frames)[0] if frames.shape[0] is None else frames.shape[0]


def _slice(sequence: tf.Tensor, start: Any, size: Any) -> tf.Tensor:
    """Frames start … start + size - 1 of [T, B, F], as rows [size * B, F]."""
    part = tf.slice(sequence, [start, 0, 0], [size, -1, -1])
    return tf.reshape(part, [-1, sequence.shape[-1]])


def _products(frames: tf.Tensor, weights: Weights, start: Any, size: Any) -> tf.Tensor:
    """z of a chunk, [size, G, B]."""
    batch = tf.shape(frames)[1]
    rows = _slice(frames, start, size)
    if weights.kernel is None:
        z = tf.transpose(tf.reshape(rows, [size, batch, frames.shape[-1]]), [0, 2, 1])
        return z if weights.bias is None else z + weights.bias
    z = tf.matmul(weights.kernel, rows, transpose_b=True)  # [G, size * B]
    if weights.bias is not None:
        z += weights.bias
    z = tf.reshape(z, [weights.kernel.shape[0], size, batch])
    return tf.transpose(z, [1, 0, 2])


class _Stores(NamedTuple):
    """What the forward pass leaves behind.

    Attributes:
        states: of each state an array [T + 1] of [N_k, B], the first state first.
        made: of each state an array [T], as the cell made it before blending; empty where
            nothing is blended.
        saved: arrays [T].
    """

    states: tuple[tf.TensorArray, ...]
    made: tuple[tf.TensorArray, ...]
    saved: tuple[tf.TensorArray, ...]


def _forward(
    cell: Recurrence,
    frames: tf.Tensor,
    first: Tensors,
    weights: Weights,
    constants: Tensors,
    blend: _Blend,
    *,
    keep: bool = False,
) -> tuple[tf.Tensor, Tensors, _Stores]:
    """Outputs [T, N_0, B], last states, and what was kept."""
    length = _length(frames)
    if keep:
        z = _products(frames, weights, 0, 1)[0]
        made, saved = cell.forward(z, first, weights.recurrent, constants)
        stores = _Stores(
            tuple(_array(s, length + 1).write(0, s) for s in first),
            () if blend.idle else tuple(_array(m, length) for m in made),
            tuple(_array(s, length) for s in saved),
        )
    else:
        stores = _Stores((_array(first[0], length),), (), ())

    def write(
        time: Any, stores: _Stores, states: Tensors, made: Any, saved: Any
    ) -> Any:
        if not keep:
            return _Stores((stores.states[0].write(time, states[0]),), (), ())
        return _Stores(
            _write(stores.states, time + 1, states),
            _write(stores.made, time, made) if stores.made else (),
            _write(stores.saved, time, saved),
        )

    def chunk(start: Any, size: Any, values: Any) -> Any:
        z = _products(frames, weights, start, size)

        def frame(number: tf.Tensor, states: Tensors, stores: _Stores) -> Any:
            made, saved = cell.forward(z[number], states, weights.recurrent, constants)
            new = blend.states(start + number, made, states)
            stores = write(start + number, stores, new, made, saved)
            return number + 1, tuple(new), stores

        return tf.while_loop(
            lambda number, *_: number < size,
            frame,
            (tf.constant(0), *values),
            maximum_iterations=size,
        )[1:]

    last, stores = _over_chunks(length, chunk, (tuple(first), stores))
    outputs = stores.states[0].stack()
    return outputs[1:] if keep else outputs, last, stores


def _write(
    arrays: Sequence[tf.TensorArray], time: Any, values: Tensors
) -> tuple[tf.TensorArray, ...]:
    return tuple(a.write(time, v) for a, v in zip(arrays, values, strict=True))


def _write_chunk(
    array: tf.TensorArray, start: Any, size: Any, frames: tf.Tensor
) -> tf.TensorArray:
    """Frames [size, ...] at start ... (`scatter` is not to be had with XLA.)"""
    return tf.while_loop(
        lambda number, _: number < size,
        lambda number, array: (
            number + 1,
            array.write(start + number, frames[number]),
        ),
        (tf.constant(0), array),
        maximum_iterations=size,
    )[1]


class _Backward:
    """Back through time over what `_forward` kept."""

    def __init__(
        self,
        cell: Recurrence,
        frames: tf.Tensor,
        weights: Weights,
        constants: Tensors,
        blend: _Blend,
        stores: _Stores,
        count: int,
    ) -> None:
        self.cell, self.frames, self.weights = cell, frames, weights
        self.constants, self.blend, self.stores = constants, blend, stores
        self.turned = [tf.transpose(weight) for weight in weights.recurrent]
        self.count = count

    def _step(
        self, time: Any, later: Tensors, d_output: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """Gradients of z, of the states before the frame, and what the weights' need."""
        grads, passed = self.blend.gradients(time, [later[0] + d_output, *later[1:]])
        states, made, saved = self.stores
        after = [array.read(time) for array in made]
        frame = Frame(
            [array.read(time) for array in states],
            after or [array.read(time + 1) for array in states],
            [array.read(time) for array in saved],
            self.constants,
        )
        dz, before, more = self.cell.backward(
            grads, frame, self.weights.recurrent, self.turned
        )
        before = [
            b if p is None else b + p for b, p in zip(before, passed, strict=True)
        ]
        return dz, before, more

    def _chunk_gradients(self, dz: tf.Tensor, more: Tensors, rows: tf.Tensor) -> Any:
        """Of the inputs' rows, and of the weights, from a chunk's columns."""
        kernel, bias, _ = self.weights
        given = []
        d_rows = tf.transpose(dz)
        if kernel is not None:
            d_rows = tf.matmul(dz, kernel, transpose_a=True)
            given.append(dz @ rows)
        if bias is not None:
            given.append(tf.reduce_sum(dz, 1, keepdims=True))
        return d_rows, [*given, *self.cell.weight_gradients(dz, more)]

    def run(self, d_outputs: tf.Tensor, d_last: Tensors) -> list[tf.Tensor]:
        """Gradients of the inputs, of the first states and of the weights."""
        length, width = _length(self.frames), self.frames.shape[-1]
        batch = tf.shape(self.frames)[1]
        given = [w for w in self.weights[:2] if w is not None]
        sums = [tf.zeros_like(w) for w in (*given, *self.weights.recurrent)]
        shapes = self._shapes(d_outputs, d_last)
        d_frames = tf.TensorArray(
            d_outputs.dtype,
            size=length,
            element_shape=[self.frames.shape[1], width],
        )

        def chunk(start: Any, size: Any, values: Any) -> Any:
            states, sums, d_frames = values

            def frame(number: tf.Tensor, states: Tensors, arrays: Any) -> Any:
                in_chunk = size - 1 - number
                time = start + in_chunk
                dz, states, more = self._step(time, states, d_outputs[time])
                arrays = _write(arrays, in_chunk, (dz, *more))
                return number + 1, tuple(states), arrays

            arrays = tuple(_array(shape, size) for shape in shapes)
            _, states, arrays = tf.while_loop(
                lambda number, *_: number < size,
                frame,
                (tf.constant(0), states, arrays),
                maximum_iterations=size,
            )
            dz, *more = [_columns(array.stack()) for array in arrays]
            rows = _slice(self.frames, start, size)
            d_rows, gradients = self._chunk_gradients(dz, more, rows)
            sums = tuple(s + g for s, g in zip(sums, gradients, strict=True))
            parts = tf.reshape(d_rows, [size, batch, width])
            return states, sums, _write_chunk(d_frames, start, size, parts)

        states, sums, d_frames = _over_chunks(
            length, chunk, (tuple(d_last), tuple(sums), d_frames), reverse=True
        )
        return [d_frames.stack(), *states, *sums]

    def _shapes(self, d_outputs: tf.Tensor, d_last: Tensors) -> list[tf.Tensor]:
        """What a step's outputs look like, from a step whose results are not used."""
        dz, _, more = self._step(0, d_last, d_outputs[0])
        return [dz, *more]


def _columns(frames: tf.Tensor) -> tf.Tensor:
    """[T, N, B] to [N, T * B]."""
    return tf.reshape(tf.transpose(frames, [1, 0, 2]), [frames.shape[1], -1])
