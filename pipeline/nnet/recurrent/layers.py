"""Recurrent layers by Keras's conventions, run by the engine."""

from typing import Any, Self

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet import ranges
from pipeline.nnet.recurrent import cudnn
from pipeline.nnet.recurrent.arguments import (
    check_call,
    options_of,
    refuse_unknown,
)
from pipeline.nnet.recurrent.cells import (
    Cell,
    GRUCell,
    LiGRUCell,
    LSTMPCell,
    SimpleRNNCell,
)
from pipeline.nnet.recurrent.cells.noise import Noise
from pipeline.nnet.recurrent.engine import run
from pipeline.nnet.recurrent.implementation import choose, insisted
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
        implementation: "engine", "cudnn", or "auto", which takes cuDNN on a CUDA device for
            layers of which it has everything; see `Recurrent.implementation`.
        **kwargs: arguments of `keras.layers.RNN` and of the layer's cell.

    Raises:
        ConfigError: an argument is out of range, or cuDNN is asked for and lacks an option.
    """

    cell_class: type[Cell]

    def __init__(
        self, units: int, *, implementation: str = "auto", **kwargs: Any
    ) -> None:
        outer = {k: kwargs.pop(k) for k in _RNN_ARGUMENTS if k in kwargs}
        own = ["implementation", *options_of(self.cell_class, Noise)]
        refuse_unknown(type(self).__name__, kwargs, own, _RNN_ARGUMENTS)
        inner = {k: outer[k] for k in ("dtype", "trainable") if k in outer}
        super().__init__(
            self.cell_class(units, name="cell", **inner, **kwargs), **outer
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self._wish = ranges.implementation("implementation", implementation)
        lacking = cudnn.lacks(self.cell)
        if self._wish == "cudnn" and lacking:
            raise ConfigError(
                f"implementation: cudnn has no {lacking}; take auto or engine"
            )
        if choose(self._wish, self.cell).name == "cudnn":
            self.supports_jit = False  # for models that Keras would compile by XLA

    @property
    def units(self) -> int:
        """Cells N."""
        return self.cell.units

    @property
    def implementation(self) -> str:
        """What runs the layer on this machine, "engine" or "cudnn", and the reason."""
        return str(choose(self._wish, self.cell))

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Makes the weights for inputs [B, T, F]."""
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Applies the layer, as `keras.layers.RNN` does.

        Args:
            sequences: [B, T, F].
            initial_state: [B, N_k] for each state, the output's first; zeros, or the
                last of a stateful layer, when None.
            mask: [B, T], True on real frames; None takes all.
            training: whether anything is dropped, and the gradient is the cell's own.

        Raises:
            ConfigError: a shape does not fit, or cuDNN is asked for and cannot be had.
        """
        if mask is not None:
            mask = tf.convert_to_tensor(mask)
        sizes = self.cell.state_size
        check_call(self.name, sequences, initial_state, mask, state_sizes=sizes)
        sequences = tf.cast(sequences, self.compute_dtype)  # whole numbers are none yet
        return super().call(sequences, initial_state, mask, training)

    def inner_loop(
        self,
        sequences: tf.Tensor,
        initial_state: Any,
        mask: Any,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, Tensors]:
        """Runs the layer: inputs [B, T, F] to last output, all outputs [B, T, N], states."""
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
            # What stands in padding may be anything, even NaN, and must meet no gradient.
            sequences = tf.where(mask[..., None], sequences, 0)
        sequences = self.cell.drop_inputs(sequences, bool(training))
        first = [
            tf.cast(self._of_all_rows(state, sequences), sequences.dtype)
            for state in initial_state
        ]
        outputs, states = self._run(sequences, first, mask, bool(training))
        if mask is not None and self.zero_output_for_mask:
            real = tf.reverse(mask, [1]) if self.go_backwards else mask
            outputs = tf.where(real[..., None], outputs, 0)
        return states[0], outputs, states

    @staticmethod
    def _of_all_rows(state: tf.Tensor, sequences: tf.Tensor) -> tf.Tensor:
        """A state [B, N_k]; as in Keras one row, where B shows only in the run, is all rows'."""
        if state.shape[0] is not None and state.shape[0] == sequences.shape[0]:
            return state
        return tf.broadcast_to(state, [tf.shape(sequences)[0], state.shape[1]])

    def _run(
        self, sequences: tf.Tensor, first: Tensors, mask: Any, training: bool
    ) -> tuple[tf.Tensor, Tensors]:
        """Outputs and last states by the implementation chosen."""
        choice = choose(self._wish, self.cell)
        forced = insisted(self._wish)
        if forced and choice.name == "engine":
            raise ConfigError(
                f"{self.name}: implementation: cudnn cannot be had ({choice.reason}); take auto "
                'or engine, or load and call the model within use_implementation("engine")'
            )
        arguments = (sequences, first, mask)

        def by_engine() -> tuple[tf.Tensor, Tensors]:
            return self._run_engine(*arguments, training)

        def by_cudnn() -> tuple[tf.Tensor, Tensors]:
            return cudnn.run(self.cell, *arguments, backwards=self.go_backwards)

        if choice.name == "engine" or 0 in sequences.shape[:2]:
            return by_engine()
        if mask is None:
            return by_cudnn()
        fits = cudnn.takes(mask)
        if forced:
            told = f"{self.name}: cuDNN takes frames padded on the right; take implementation: auto"
            with tf.control_dependencies([tf.debugging.Assert(fits, [told])]):
                return by_cudnn()
        return tf.cond(fits, by_cudnn, by_engine)

    def _run_engine(
        self, sequences: tf.Tensor, first: Tensors, mask: Any, training: bool
    ) -> tuple[tf.Tensor, Tensors]:
        """Outputs and last states by the engine."""
        cell = self.cell
        if self.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        shape, dtype = tf.shape(sequences), sequences.dtype
        inputs, weights = cell.prepare(sequences, mask, training)
        holds = cell.holds(shape[0], shape[1], dtype, training)
        constants = cell.constants(shape[0], dtype, training)
        return run(
            cell,
            Sequences(inputs, first, mask, holds, constants),
            weights,
            keep=training,
            shards=self.shards(sequences.shape[0]),
        )

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
        return {**outer, **inner, "implementation": self._wish}

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
        projection = ranges.positive("projection", projection)
        super().__init__(units, projection=projection, **kwargs)


@keras.saving.register_keras_serializable(package="keraldi")
class GRU(Recurrent):
    """Gated recurrent unit, by default reset before the product; see `GRUCell`."""

    cell_class = GRUCell


@keras.saving.register_keras_serializable(package="keraldi")
class LiGRU(Recurrent):
    """Light gated recurrent unit with batch norm; see `LiGRUCell`."""

    cell_class = LiGRUCell
