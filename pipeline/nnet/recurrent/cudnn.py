"""LSTM, LSTMP and GRU on cuDNN: weights as it packs them, and one call for a sequence.

The operation takes all weights as one vector. Per gate it has a matrix for the inputs, one for
what is fed back, and a bias beside each product; matrices are stored output by input:

    LSTM: W of i, f, g, o; U of i, f, g, o; P with a projection; biases of W, then of U
    GRU:  W of r, u, h̃; U of r, u, h̃; biases of W, then of U

cuDNN's GRU has h = (1 − u)⊙h̃ + u⊙h_, so its u is 1 − z of ours, and σ(−x) = 1 − σ(x).
Everything here is plain operations but the call itself, whose gradient is TensorFlow's.

References:
    NVIDIA, cuDNN API, `cudnnRNNForward` and `cudnnGetRNNWeightParams` (equations, gates);
    `_cudnn_lstm` and `_cudnn_gru` of Keras (the vector without projection); Gluon's
    `rnn.LSTM(projection_size=)` of Apache MXNet, which hands cuDNN one with a projection.
"""

from typing import Any

import tensorflow as tf

from pipeline.nnet.recurrent.cells import Cell, GRUCell, LSTMPCell
from pipeline.nnet.recurrent.protocol import Tensors

_OPTIONS: dict[type[Cell], tuple[str, ...]] = {
    LSTMPCell: (
        "peepholes",
        "layer_norm",
        "nonrecurrent",
        "cell_clip",
        "projection_clip",
        "recurrent_dropout",
        "zoneout",
    ),
    GRUCell: ("projection", "layer_norm", "recurrent_dropout", "zoneout"),
}


def lacks(cell: Cell) -> str | None:
    """What the cell has and cuDNN has not, in words; None where it has everything."""
    if type(cell) not in _OPTIONS:
        return type(cell).__name__
    for option in _OPTIONS[type(cell)]:
        if getattr(cell, option):
            return option
    if not getattr(cell, "forget_gate", True):
        return "forget_gate: false"
    if not getattr(cell, "reset_after", True):
        return "reset_after: false"
    if cell.recurrent_size >= cell.units and getattr(cell, "projection", None):
        return "a projection as wide as the cells"  # it takes such a one for none
    return None


def _flat(matrix: tf.Tensor) -> tf.Tensor:
    """[F, G] as the rows of its transpose, one after the other."""
    return tf.reshape(tf.transpose(matrix), [-1])


def pack_lstm(
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
    projection: tf.Tensor | None = None,
) -> tf.Tensor:
    """The vector of an LSTM.

    Args:
        kernel: W [F, 4N] of i, f, g, o.
        recurrent: U [N, 4N], or [P, 4N] with a projection.
        bias: b [4N].
        projection: P [N, P].

    Returns:
        [4N (F + P + 2) + N P].
    """
    matrices = [kernel, recurrent] + ([] if projection is None else [projection])
    return tf.concat([*map(_flat, matrices), tf.zeros_like(bias), bias], 0)


def pack_gru(
    kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor, inner: tf.Tensor
) -> tf.Tensor:
    """The vector of a GRU whose reset gate comes after the product.

    Args:
        kernel: W [F, 3N] of z, r, h̃.
        recurrent: U [N, 3N].
        bias: b [3N].
        inner: b' [N], added to the candidate's U h_ before the reset.

    Returns:
        [3N (F + N + 2)].
    """

    def ordered(weight: tf.Tensor) -> tf.Tensor:
        update, reset, candidate = tf.split(weight, 3, -1)
        return tf.concat([reset, -update, candidate], -1)

    matrices = [_flat(ordered(weight)) for weight in (kernel, recurrent)]
    none = tf.zeros_like(inner)
    return tf.concat([*matrices, ordered(bias), none, none, inner], 0)


def _packed(cell: Cell, dtype: tf.DType) -> tuple[str, tf.Tensor]:
    """cuDNN's name of the cell, and its weights."""

    def read(*names: str) -> list[tf.Tensor]:
        return [
            tf.cast(tf.convert_to_tensor(getattr(cell, name)), dtype) for name in names
        ]

    weights = read("kernel", "recurrent_kernel", "bias")
    if isinstance(cell, GRUCell):
        return "gru", pack_gru(*weights, *read("recurrent_bias"))
    projection = [] if cell.projection is None else read("projection_kernel")
    return "lstm", pack_lstm(*weights, *projection)


def takes(mask: tf.Tensor) -> tf.Tensor:
    """Whether cuDNN can run a batch of mask [B, T]: bool, of padding on the right alone."""
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    right = tf.reduce_all(mask == tf.sequence_mask(lengths, tf.shape(mask)[1]))
    return right & (tf.size(mask) > 0)


def call(
    mode: str,
    params: tf.Tensor,
    inputs: tf.Tensor,
    first: Tensors,
    lengths: tf.Tensor,
) -> tuple[tf.Tensor, Tensors]:
    """One call of the operation.

    Batches come batch first: of frames first the operation remembers from one call to the
    next, for a number of frames, whether any row was padded.

    Args:
        mode: "lstm" or "gru".
        params: the weights, packed.
        inputs: [B, T, F].
        first: states before the first frame, [B, N_k] each.
        lengths: [B] int32, at least 1.

    Returns:
        Outputs [B, T, N_0], of any value from `lengths` on; states after the last frame.
    """
    hidden, *cell = [state[:, None] for state in first]
    projected = cell and hidden.shape[-1] != cell[0].shape[-1]
    outputs, *after, _, _ = tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=hidden,
        input_c=cell[0] if cell else tf.zeros([], inputs.dtype),
        params=params,
        sequence_lengths=lengths,
        rnn_mode=mode,
        num_proj=hidden.shape[-1] if projected else 0,
        is_training=True,  # without, there is no gradient, not even of the inputs
        time_major=False,
    )
    return outputs, [state[:, 0] for state in after[: len(first)]]


def run(
    cell: Cell,
    inputs: tf.Tensor,
    first: Tensors,
    mask: tf.Tensor | None,
    *,
    backwards: bool = False,
) -> tuple[tf.Tensor, Tensors]:
    """Runs a cell over time; the results are those of the engine.

    Args:
        cell: of which nothing is lacking (`lacks`).
        inputs: [B, T, F], finite.
        first: states before the first frame, [B, N_k] each.
        mask: [B, T] bool that `takes` says yes to, or None.
        backwards: from the last frame to the first; outputs come in that order, after
            those of the padding.

    Returns:
        Outputs [B, T, N_0], and the states after the last frame, [B, N_k]. On padding the
        outputs are the state before it.
    """
    mode, params = _packed(cell, inputs.dtype)
    shape = tf.shape(inputs)
    if mask is None:
        if backwards:
            inputs = tf.reverse(inputs, [1])
        return call(mode, params, inputs, first, tf.fill([shape[0]], shape[1]))
    counts = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    lengths = tf.maximum(counts, 1)  # cuDNN wants a frame of every row
    if backwards:
        inputs = tf.reverse_sequence(inputs, lengths, 1)
    outputs, after = call(mode, params, inputs, first, lengths)
    empty = (counts == 0)[:, None]
    states = [tf.where(empty, b, a) for a, b in zip(after, first, strict=True)]
    idle: Any = states[0]
    if backwards:
        outputs = tf.reverse(tf.reverse_sequence(outputs, lengths, 1), [1])
        mask, idle = tf.reverse(mask, [1]), first[0]
    return tf.where(mask[..., None], outputs, idle[:, None]), states
