"""The plain recurrence."""

from typing import Any

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent.cells.base import Cell
from pipeline.nnet.recurrent.protocol import Frame, Tensors

_ACTIVATIONS = {"tanh": tf.tanh, "sigmoid": tf.sigmoid, "relu": tf.nn.relu}


@keras.saving.register_keras_serializable(package="keraldi")
class SimpleRNNCell(Cell):
    """Plain recurrence: h = act(W x + U h_ + b).

    Args:
        units: cells N.
        activation: tanh, sigmoid or relu.
        **kwargs: see `Cell`.

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
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves nothing."""
        fed_back = self.fed_back(states[0], constants)
        return [_ACTIVATIONS[self.activation](z + weights[0] @ fed_back)], []

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
        before = self.fed_back_gradient(turned[0] @ dz, frame.constants)
        return dz, [before], [self.fed_back(frame.before[0], frame.constants)]

    def weight_gradients(self, dz: tf.Tensor, more: Tensors) -> Tensors:
        """Of the recurrent kernel."""
        return [tf.matmul(dz, more[0], transpose_b=True)]

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        return {**super().get_config(), "activation": self.activation}
