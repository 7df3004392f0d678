"""The plain recurrence."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.ranges import flag
from pipeline.nnet.recurrent.cells.base import Cell
from pipeline.nnet.recurrent.cells.normalization import (
    normalize,
    normalize_gradient,
    total,
)
from pipeline.nnet.recurrent.protocol import Frame, Stacked, Tensors, Weights

ACTIVATIONS = {"tanh": tf.tanh, "sigmoid": tf.sigmoid, "relu": tf.nn.relu}


@keras.saving.register_keras_serializable(package="keraldi")
class SimpleRNNCell(Cell):
    """Plain recurrence: h = act(W x + U h_ + b), with layer norm act(LN(W x + U h_) + b).

    Args:
        units: cells N.
        activation: tanh, sigmoid or relu.
        layer_norm: whether the products' sum is normalised over the units.
        **kwargs: see `Cell`.

    References:
        Elman 1990; Robinson, Hochberg & Renals 1996 for speech; Ba, Kiros & Hinton 2016
        (layer norm).
    """

    def __init__(
        self,
        units: int,
        *,
        activation: str = "tanh",
        layer_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.layer_norm = flag("layer_norm", layer_norm)
        if activation not in list(ACTIVATIONS):
            raise ConfigError(
                f"activation: expected {', '.join(ACTIVATIONS)}, got {activation!r}"
            )
        self.activation = activation

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        super().build(input_shape)
        if self.layer_norm:
            self.gain = self.add_weight(
                shape=(self.units,), initializer="ones", name="gain"
            )

    def columns(self) -> Weights:
        """U; with layer norm its gain and the bias too, which comes after the norm."""
        weights = super().columns()
        if not self.layer_norm:
            return weights
        norm = [self.vector(self.gain), self.vector(self.bias)]
        return Weights(weights.kernel, None, [*weights.recurrent, *norm])

    @property
    def saved_sizes(self) -> list[int]:
        """With layer norm the sum normalised, and what it was multiplied by."""
        return [self.units, 1] if self.layer_norm else []

    @property
    def more_sizes(self) -> list[int]:
        """As `weight_gradients` takes them apart."""
        norm = [self.units, self.units] if self.layer_norm else []
        return [self.recurrent_size, *norm]

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves what the norm made, if there is one."""
        z += weights[0] @ self.fed_back(states[0], constants)
        saved = []
        if self.layer_norm:
            normal, factor = normalize(z)
            saved = [normal, factor]
            z = weights[1] * normal + weights[2]
        return [ACTIVATIONS[self.activation](z)], saved

    def backward(
        self, grads: Tensors, frame: Frame, weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        hidden = frame.after[0]
        match self.activation:
            case "tanh":
                dz = grads[0] * (1.0 - hidden * hidden)
            case "sigmoid":
                dz = grads[0] * hidden * (1.0 - hidden)
            case _:
                dz = grads[0] * tf.cast(hidden > 0, hidden.dtype)
        more = [self.fed_back(frame.before[0], frame.constants)]
        if self.layer_norm:
            more += [dz, frame.saved[0]]
            dz = normalize_gradient(weights[1] * dz, *frame.saved)
        before = self.fed_back_gradient(turned[0] @ dz, frame.constants)
        return dz, [before], more

    def weight_gradients(self, found: Stacked, more: Sequence[Stacked]) -> Tensors:
        """Of the recurrent kernel; with layer norm of its gain and the bias."""
        fed_back, *rest = more
        gradients = [found.columns @ fed_back.rows]
        if self.layer_norm:
            d_sum, normal = (part.columns for part in rest)
            gradients += [total(d_sum * normal), total(d_sum)]
        return gradients

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        own = {"activation": self.activation, "layer_norm": self.layer_norm}
        return {**super().get_config(), **own}
