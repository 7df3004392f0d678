"""What all cells share: weights as Keras keeps them, and as the engine wants them."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.ranges import positive
from pipeline.nnet.recurrent.cells.noise import Noise, mixed
from pipeline.nnet.recurrent.protocol import Frame, Stacked, Tensors, Weights

_RULES = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


def halved(rows: tf.Tensor, count: int) -> tf.Tensor:
    """The first `count` rows halved: σ(x) = (1 + tanh(x / 2)) / 2."""
    scale = np.where(np.arange(rows.shape[0]) < count, 0.5, 1.0)
    column = scale.reshape(-1, *[1] * (rows.shape.rank - 1))
    return rows * tf.constant(column, rows.dtype)


class Cell(Noise):
    """Base of all cells: input weights, recurrent weights, and the step of one frame.

    A cell is also a Keras cell: `keras.layers.RNN(cell)` runs it a frame at a time.

    Args:
        units: cells N.
        kernel_initializer, recurrent_initializer, bias_initializer: Keras's names or objects.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: likewise, or None.
        kernel_constraint, recurrent_constraint, bias_constraint: likewise, or None. Those of
            the kernel hold for a projection too.
        **kwargs: see `Noise`.
    """

    gates = 1

    def __init__(
        self,
        units: int,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not tf.as_dtype(self.compute_dtype).is_floating:
            raise ConfigError(
                f"dtype: expected a floating one, such as float32, got {self.compute_dtype!r}"
            )
        self.units = positive("units", units)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed_generator = keras.random.SeedGenerator()

    @property
    def state_size(self) -> list[int]:
        """Widths of the states, the output first."""
        return [self.units]

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.state_size[0]

    @property
    def recurrent_size(self) -> int:
        """Width of what is fed back."""
        return self.output_size

    @property
    def width(self) -> int:
        """G, the width of the inputs' products."""
        return self.gates * self.units

    def add_ruled(self, rules: str, shape: tuple[int, ...], name: str) -> Any:
        """Makes a weight by the initializer, regularizer and constraint of `rules`.

        Args:
            rules: kernel, recurrent or bias.
            shape: of the weight.
            name: of the weight.
        """
        return self.add_weight(
            shape=shape,
            initializer=getattr(self, f"{rules}_initializer"),
            regularizer=getattr(self, f"{rules}_regularizer"),
            constraint=getattr(self, f"{rules}_constraint"),
            name=name,
        )

    def add_matrices(self, num_inputs: int | None) -> None:
        """Makes W and U."""
        if num_inputs is None:
            raise ConfigError(
                f"{self.path or self.name}: the inputs' width is not known; give it, as in "
                "keras.Input((None, 40))"
            )
        if num_inputs == 0:
            raise ConfigError(
                f"{self.path or self.name}: the inputs [B, T, 0] have no features; expected at "
                "least 1"
            )
        self.kernel = self.add_ruled("kernel", (num_inputs, self.width), "kernel")
        self.recurrent_kernel = self.add_ruled(
            "recurrent", (self.recurrent_size, self.width), "recurrent_kernel"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        self.add_matrices(input_shape[-1])
        self.bias = self.add_ruled("bias", (self.width,), "bias")
        self.built = True

    def vector(self, weight: Any) -> tf.Tensor:
        """A weight [N] as a column [N, 1]."""
        return tf.convert_to_tensor(weight)[:, None]

    def arrange(self, rows: tf.Tensor) -> tf.Tensor:
        """[G, ...] in the order and scale in which the steps want the gates."""
        return rows

    def recurrent_columns(self) -> list[tf.Tensor]:
        """What the steps multiply the states by."""
        return [self.arrange(tf.transpose(tf.convert_to_tensor(self.recurrent_kernel)))]

    def columns(self) -> Weights:
        """The weights as the engine wants them. Gradients flow back through this."""
        kernel = tf.transpose(tf.convert_to_tensor(self.kernel))
        return Weights(
            self.arrange(kernel),
            self.arrange(self.vector(self.bias)),
            self.recurrent_columns(),
        )

    def prepare(
        self, inputs: tf.Tensor, mask: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, Weights]:
        """What the engine takes: inputs [B, T, F] or their products, and the weights."""
        del mask, training
        return inputs, self.columns()

    @property
    def saved_sizes(self) -> list[int]:
        """Rows of what `forward` saves; see `protocol.Recurrence`."""
        return []

    @property
    def gradient_size(self) -> int:
        """Rows of the gradient of z and what stands above it; see `protocol.Recurrence`."""
        return self.width

    @property
    def more_sizes(self) -> list[int]:
        """Rows of what `backward` gives for the weights; see `protocol.Recurrence`."""
        return [self.recurrent_size]

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see `protocol.Recurrence`."""
        raise NotImplementedError

    def backward(
        self, grads: Tensors, frame: Frame, weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame; see `protocol.Recurrence`."""
        raise NotImplementedError

    def weight_gradients(self, found: Stacked, more: Sequence[Stacked]) -> Tensors:
        """The gradient of every recurrent weight; see `protocol.Recurrence`."""
        raise NotImplementedError

    def fed_back(self, output: tf.Tensor, constants: Tensors) -> tf.Tensor:
        """What of the output [N_0, B] is fed back, [P, B]."""
        if self.output_size > self.recurrent_size:
            output = output[: self.recurrent_size]
        return output * constants[0] if constants else output

    def fed_back_gradient(self, grad: tf.Tensor, constants: Tensors) -> tf.Tensor:
        """The gradient of the output [N_0, B] from that of what was fed back, [P, B]."""
        if constants:
            grad *= constants[0]
        extra = self.output_size - self.recurrent_size
        return tf.pad(grad, [[0, extra], [0, 0]]) if extra else grad

    def get_initial_state(self, batch_size: Any = None) -> list[tf.Tensor]:
        """States of zeros [B, N_k], with which a loop over `call` begins."""
        return [
            keras.ops.zeros((batch_size, size), self.compute_dtype)
            for size in self.state_size
        ]

    def call(self, inputs: tf.Tensor, states: Tensors, training: bool = False) -> Any:
        """One frame, as `keras.layers.RNN` asks for it: inputs [B, F] to (output, states).

        As of Keras's cells a state that is the only one need not be in a list.
        """
        if training and (self.dropout or self.recurrent_dropout):
            raise ConfigError(
                f"{self.name}: keras.layers.RNN draws anew at every frame what is dropped; "
                "use the layer of this cell, or set dropout and recurrent_dropout to 0"
            )
        frames, weights = self.prepare(inputs[:, None], None, training)
        z = tf.transpose(frames[:, 0])
        if weights.kernel is not None:
            z = weights.kernel @ z
        if weights.bias is not None:
            z += weights.bias
        if not isinstance(states, list | tuple):
            states = [states]
        before = [tf.transpose(state) for state in states]
        if not training or not self.zoneout:
            after = self.infer(z, before, weights.recurrent)
        else:
            made, _ = self.forward(z, before, weights.recurrent, [])
            holds = self.holds(tf.shape(inputs)[0], 1, inputs.dtype, training)
            drawn = [tf.transpose(hold[:, 0]) for hold in holds]
            after = mixed(drawn, before, made)
        rows = [tf.transpose(state) for state in after]
        return rows[0], rows

    def products(self, frames: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Outside of training: z [T, G] of frames [T, F], and the recurrent weights."""
        inputs, weights = self.prepare(frames[None], None, False)
        z = inputs[0]
        if weights.kernel is not None:
            z = tf.matmul(z, weights.kernel, transpose_b=True)
        if weights.bias is not None:
            z += weights.bias[:, 0]
        return z, weights.recurrent

    def infer(self, z: tf.Tensor, states: Tensors, weights: Tensors) -> Tensors:
        """Outside of training: the states [N_k, B] after a frame, from z [G, B]."""
        made, _ = self.forward(z, states, weights, [])
        if not self.zoneout:
            return made
        return mixed([self.zoneout] * len(made), states, made)

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        serialized = {
            f"{rules}_{kind}": module.serialize(getattr(self, f"{rules}_{kind}"))
            for kind, module in _RULES.items()
            for rules in ("kernel", "recurrent", "bias")
        }
        return {
            **super().get_config(),
            "units": self.units,
            **serialized,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the cell from `get_config`'s values."""
        return cls(**config)
