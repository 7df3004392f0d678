"""The cells: each a forward step, and its gradient derived by hand.

A cell is also a Keras cell: `keras.layers.RNN(cell)` runs it a frame at a time.
"""

from typing import Any

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent.engine import Tensors


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"{name}: expected a whole number of at least 1, got {value!r}"
        )
    return value


class Cell(keras.layers.Layer):
    """Base of all cells: input weights, recurrent weights, and the step of one frame.

    Args:
        units: cells N.
        kernel_initializer, recurrent_initializer, bias_initializer: Keras's names or objects.
    """

    gates = 1
    num_more = 0  # tensors that `backward` hands to `weight_gradients` beside dz

    def __init__(
        self,
        units: int,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = _positive("units", units)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    @property
    def state_size(self) -> list[int]:
        """Widths of the states, the output first."""
        return [self.units]

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.state_size[0]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        width = self.gates * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], width),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.output_size, width),
            initializer=self.recurrent_initializer,
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=(width,), initializer=self.bias_initializer, name="bias"
        )
        self.built = True

    def input_product(self, inputs: tf.Tensor) -> tf.Tensor:
        """W x + b of inputs [T, B, F] or [B, F]."""
        kernel = tf.convert_to_tensor(self.kernel)
        rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
        product = tf.nn.bias_add(rows @ kernel, tf.convert_to_tensor(self.bias))
        return tf.reshape(
            product, tf.concat([tf.shape(inputs)[:-1], [kernel.shape[-1]]], 0)
        )

    def recurrent_weights(self) -> Tensors:
        """What multiplies the state, as the engine passes it to the steps."""
        return [tf.convert_to_tensor(self.recurrent_kernel)]

    def call(self, inputs: tf.Tensor, states: Tensors, training: bool = False) -> Any:
        """One frame, as `keras.layers.RNN` asks for it: inputs [B, F] to (output, states)."""
        z = self.input_product(inputs)
        new, _ = self.forward(z, list(states), self.recurrent_weights())
        return new[0], list(new)

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(
                self.recurrent_initializer
            ),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


_ACTIVATIONS = {"tanh": tf.tanh, "sigmoid": tf.sigmoid, "relu": tf.nn.relu}


@keras.saving.register_keras_serializable(package="keraldi")
class SimpleRNNCell(Cell):
    """Plain recurrence: h = act(W x + U h_ + b).

    References:
        Elman 1990; Robinson, Hochberg & Renals 1996 for speech.
    """

    def __init__(self, units: int, *, activation: str = "tanh", **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        if activation not in _ACTIVATIONS:
            raise ConfigError(
                f"activation: expected {', '.join(_ACTIVATIONS)}, got {activation!r}"
            )
        self.activation = activation

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class."""
        hidden = _ACTIVATIONS[self.activation](z + states[0] @ weights[0])
        return [hidden], [hidden]

    def backward(
        self, after: Tensors, before: Tensors, saved: Tensors, weights: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        hidden = saved[0]
        match self.activation:
            case "tanh":
                dz = after[0] * (1.0 - hidden * hidden)
            case "sigmoid":
                dz = after[0] * hidden * (1.0 - hidden)
            case _:
                dz = after[0] * tf.cast(hidden > 0, hidden.dtype)
        return dz, [dz @ weights[0]], []

    def weight_gradients(
        self, dz: tf.Tensor, before: Tensors, saved: Tensors, more: Tensors
    ) -> Tensors:
        """Of the recurrent kernel, from all frames."""
        return [tf.matmul(before[0], dz, transpose_a=True)]

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        return {**super().get_config(), "activation": self.activation}


@keras.saving.register_keras_serializable(package="keraldi")
class _ForgetBias(keras.initializers.Initializer):
    """Zero but for the forget gates, the second of four blocks, which start open at one."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
        units = shape[0] // 4
        ones = tf.ones([units], dtype or "float32")
        return tf.concat([0 * ones, ones, 0 * ones, 0 * ones], axis=0)


@keras.saving.register_keras_serializable(package="keraldi")
class LSTMPCell(Cell):
    """Long short-term memory with a recurrent projection.

        i, f, o = σ(W x + U r_ + b),  g = tanh(W x + U r_ + b)
        c = f ⊙ c_ + i ⊙ g
        r = P (o ⊙ tanh c), output and fed back; without P it is the LSTM

    Gates stand in Keras's order i, f, g, o.

    Args:
        units: cells N.
        projection: width P of r; None leaves the projection out.

    References:
        Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 1999 (forget gate);
        Sak, Senior & Beaufays 2014 (projection).
    """

    gates = 4

    def __init__(
        self, units: int, *, projection: int | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("bias_initializer", _ForgetBias())
        super().__init__(units, **kwargs)
        self.projection = (
            None if projection is None else _positive("projection", projection)
        )
        self.num_more = 0 if projection is None else 1

    @property
    def state_size(self) -> list[int]:
        """Widths of r and c."""
        return [self.projection or self.units, self.units]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        super().build(input_shape)
        if self.projection is not None:
            self.projection_kernel = self.add_weight(
                shape=(self.units, self.projection),
                initializer=self.kernel_initializer,
                name="projection_kernel",
            )

    def recurrent_weights(self) -> Tensors:
        """U [P, 4 N], and P [N, P] where there is one."""
        weights = list(super().recurrent_weights())
        if self.projection is not None:
            weights.append(tf.convert_to_tensor(self.projection_kernel))
        return weights

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves the gates and tanh c."""
        i, f, g, o = tf.split(z + states[0] @ weights[0], 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        memory = f * states[1] + i * g
        squashed = tf.tanh(memory)
        hidden = o * squashed
        output = hidden if self.projection is None else hidden @ weights[1]
        return [output, memory], [i, f, g, o, squashed]

    def backward(
        self, after: Tensors, before: Tensors, saved: Tensors, weights: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        i, f, g, o, squashed = saved
        d_output, d_memory = after
        d_hidden = d_output
        if self.projection is not None:
            d_hidden = d_output @ weights[1]
        d_memory = d_memory + d_hidden * o * (1.0 - squashed * squashed)
        dz = tf.concat(
            [
                d_memory * g * i * (1.0 - i),
                d_memory * before[1] * f * (1.0 - f),
                d_memory * i * (1.0 - g * g),
                d_hidden * squashed * o * (1.0 - o),
            ],
            axis=1,
        )
        d_before = [dz @ weights[0], d_memory * f]
        return dz, d_before, [] if self.projection is None else [d_output]

    def weight_gradients(
        self, dz: tf.Tensor, before: Tensors, saved: Tensors, more: Tensors
    ) -> Tensors:
        """Of U and P, from all frames."""
        gradients = [tf.matmul(before[0], dz, transpose_a=True)]
        if self.projection is not None:
            hidden = saved[3] * saved[4]
            gradients.append(tf.matmul(hidden, more[0], transpose_a=True))
        return gradients

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        return {**super().get_config(), "projection": self.projection}


@keras.saving.register_keras_serializable(package="keraldi")
class GRUCell(Cell):
    """Gated recurrent unit, the reset before the product.

        z, r = σ(W x + U h_ + b),  h̃ = tanh(W x + U (r ⊙ h_) + b)
        h = (1 − z) ⊙ h_ + z ⊙ h̃

    Blocks stand in the order z, r, h̃; Keras's GRU calls 1 − z its z.

    References:
        Cho et al. 2014; Chung et al. 2014.
    """

    gates = 3

    def recurrent_weights(self) -> Tensors:
        """U of the gates [N, 2 N] and of the candidate [N, N]."""
        kernel = tf.convert_to_tensor(self.recurrent_kernel)
        return [kernel[:, : 2 * self.units], kernel[:, 2 * self.units :]]

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves the gates and the candidate."""
        hidden, units = states[0], self.units
        gates = tf.sigmoid(z[:, : 2 * units] + hidden @ weights[0])
        update, reset = tf.split(gates, 2, axis=1)
        candidate = tf.tanh(z[:, 2 * units :] + (reset * hidden) @ weights[1])
        return [hidden + update * (candidate - hidden)], [update, reset, candidate]

    def backward(
        self, after: Tensors, before: Tensors, saved: Tensors, weights: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        update, reset, candidate = saved
        hidden, d_hidden = before[0], after[0]
        d_candidate = d_hidden * update * (1.0 - candidate * candidate)
        d_product = d_candidate @ weights[1]
        d_gates = tf.concat(
            [
                d_hidden * (candidate - hidden) * update * (1.0 - update),
                d_product * hidden * reset * (1.0 - reset),
            ],
            axis=1,
        )
        d_before = d_hidden * (1.0 - update) + d_product * reset
        d_before += d_gates @ weights[0]
        return tf.concat([d_gates, d_candidate], axis=1), [d_before], []

    def weight_gradients(
        self, dz: tf.Tensor, before: Tensors, saved: Tensors, more: Tensors
    ) -> Tensors:
        """Of both parts of U, from all frames."""
        split = 2 * self.units
        reset = saved[1] * before[0]
        return [
            tf.matmul(before[0], dz[:, :split], transpose_a=True),
            tf.matmul(reset, dz[:, split:], transpose_a=True),
        ]
