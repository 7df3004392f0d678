"""The light gated recurrent unit."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent.cells.base import Cell, halved
from pipeline.nnet.recurrent.protocol import Frame, Stacked, Tensors, Weights


@keras.saving.register_keras_serializable(package="keraldi")
class LiGRUCell(Cell):
    """Light gated recurrent unit: no reset gate, a rectified candidate, batch norm.

        z = σ(BN(W x) + U h_),  h̃ = ReLU(BN(W x) + U h_)
        h = z ⊙ h_ + (1 − z) ⊙ h̃

    Blocks stand in the order z, h̃. Padded frames are not counted in the norm's statistics.

    Args:
        units: cells N.
        **kwargs: see `Cell`; there is no bias but the norm's.

    References:
        Ravanelli, Brakel, Omologo & Bengio 2018.
    """

    gates = 2

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        # Keras hands `trainable` on when it is set, not when it is given: a frozen layer's
        # norm must come back from a file frozen too.
        self.norm = keras.layers.BatchNormalization(
            name="norm", dtype=self.dtype_policy, trainable=self.trainable
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        self.add_matrices(input_shape[-1])
        self.norm.build((None, None, self.width))
        self.built = True

    def arrange(self, rows: tf.Tensor) -> tf.Tensor:
        """The gate halved."""
        return halved(rows, self.units)

    def prepare(
        self, inputs: tf.Tensor, mask: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, Weights]:
        """The inputs' normalised products [B, T, G]."""
        products = tf.matmul(inputs, tf.convert_to_tensor(self.kernel)[None])
        products = self.norm(products, training=training, mask=mask)
        scale = self.arrange(tf.ones([self.width], products.dtype))
        return products * scale, Weights(None, None, self.recurrent_columns())

    @property
    def saved_sizes(self) -> list[int]:
        """The gate's tanh and the candidate."""
        return [self.units, self.units]

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves the gate's tanh and the candidate."""
        preactivation = z + weights[0] @ self.fed_back(states[0], constants)
        tanh = tf.tanh(preactivation[: self.units])
        candidate = tf.nn.relu(preactivation[self.units :])
        keep = 0.5 * tanh + 0.5
        return [candidate + keep * (states[0] - candidate)], [tanh, candidate]

    def backward(
        self, grads: Tensors, frame: Frame, weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        tanh, candidate = frame.saved
        keep, d_hidden = 0.5 * tanh + 0.5, grads[0]
        d_tanh = d_hidden * (frame.before[0] - candidate) * 0.5 * (1.0 - tanh * tanh)
        rising = tf.cast(candidate > 0, candidate.dtype)
        dz = tf.concat([d_tanh, d_hidden * (1.0 - keep) * rising], 0)
        before = self.fed_back_gradient(turned[0] @ dz, frame.constants)
        fed_back = self.fed_back(frame.before[0], frame.constants)
        return dz, [before + d_hidden * keep], [fed_back]

    def weight_gradients(self, found: Stacked, more: Sequence[Stacked]) -> Tensors:
        """Of the recurrent kernel."""
        return [found.columns @ more[0].rows]

    def call(self, inputs: tf.Tensor, states: Tensors, training: bool = False) -> Any:
        """One frame; in training refused, for the norm needs all frames at once."""
        if training:
            raise ConfigError(
                f"{self.name}: keras.layers.RNN shows the batch norm one frame at a time; "
                "train with the layer LiGRU"
            )
        return super().call(inputs, states, training)
