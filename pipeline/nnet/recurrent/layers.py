"""Recurrent layers by Keras's conventions, run by the engine."""

from typing import Any, Self

import keras
import tensorflow as tf

from pipeline.nnet.recurrent.cells import (
    Cell,
    GRUCell,
    LiGRUCell,
    LSTMPCell,
    SimpleRNNCell,
)
from pipeline.nnet.recurrent.engine import run
from pipeline.nnet.recurrent.protocol import Sequences, Tensors
from pipeline.nnet.threads import shards_for

_RNN_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
    "activity_regularizer",
    "name",
    "dtype",
    "trainable",
)


class Recurrent(keras.layers.RNN):
    """A cell over time: what `keras.layers.RNN` promises, done by the engine.

    Inputs are [B, T, F], outputs [B, T, N] with `return_sequences`, else [B, N]; a mask
    [B, T] leaves the state as it is on masked frames. In training the gradient is the
    cell's own; outside of it TensorFlow's, and no activations are kept.

    Args:
        units: cells N.
        **kwargs: arguments of `keras.layers.RNN` and of the layer's cell.
    """

    cell_class: type[Cell]

    def __init__(self, units: int, **kwargs: Any) -> None:
        outer = {k: kwargs.pop(k) for k in _RNN_ARGUMENTS if k in kwargs}
        inner = {"dtype": outer["dtype"]} if "dtype" in outer else {}
        super().__init__(
            self.cell_class(units, name="cell", **inner, **kwargs), **outer
        )

    def inner_loop(
        self,
        sequences: tf.Tensor,
        initial_state: Any,
        mask: Any,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, Tensors]:
        """Runs the engine: inputs [B, T, F] to last output, all outputs [B, T, N], states."""
        cell, training = self.cell, bool(training)
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
            # What stands in padding may be anything, even NaN, and must meet no gradient.
            sequences = tf.where(mask[..., None], sequences, 0)
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        shape, dtype = tf.shape(sequences), sequences.dtype
        dropped = cell.drop_inputs(sequences, training)
        inputs, weights = cell.prepare(dropped, mask, training)
        outputs, states = run(
            cell,
            Sequences(
                inputs,
                [tf.cast(state, dtype) for state in initial_state],
                mask,
                cell.holds(shape[0], shape[1], dtype, training),
                cell.constants(shape[0], dtype, training),
            ),
            weights,
            keep=training,
            shards=self.shards(sequences.shape[0]),
        )
        last = states[0]
        if mask is not None and self.zero_output_for_mask:
            outputs = tf.where(mask[..., None], outputs, 0)
        return last, outputs, states

    def shards(self, rows: int | None) -> int:
        """Into how many loops a batch of so many rows (None: not known) is dealt."""
        return shards_for(rows, self.cell.recurrent_size * self.cell.width)

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the layer is made again: Keras's and the cell's."""
        outer = super().get_config()
        outer.pop("cell")
        inner = self.cell.get_config()
        for name in ("name", "dtype", "trainable"):
            inner.pop(name)
        return {**outer, **inner}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Makes the layer from `get_config`'s values."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keraldi")
class SimpleRNN(Recurrent):
    """Plain RNN; see `SimpleRNNCell`. Takes `activation`: tanh, sigmoid or relu."""

    cell_class = SimpleRNNCell


@keras.saving.register_keras_serializable(package="keraldi")
class LSTM(Recurrent):
    """LSTM with forget gate, its bias one; see `LSTMPCell`."""

    cell_class = LSTMPCell


@keras.saving.register_keras_serializable(package="keraldi")
class LSTMP(Recurrent):
    """LSTM with recurrent projection; see `LSTMPCell`. Takes `projection`, its width P."""

    cell_class = LSTMPCell

    def __init__(self, units: int, *, projection: int, **kwargs: Any) -> None:
        super().__init__(units, projection=projection, **kwargs)


@keras.saving.register_keras_serializable(package="keraldi")
class GRU(Recurrent):
    """Gated recurrent unit, by default reset before the product; see `GRUCell`."""

    cell_class = GRUCell


@keras.saving.register_keras_serializable(package="keraldi")
class LiGRU(Recurrent):
    """Light gated recurrent unit with batch norm; see `LiGRUCell`."""

    cell_class = LiGRUCell
