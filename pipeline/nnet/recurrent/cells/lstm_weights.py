"""The weights of an LSTM: which there are by its options, and how the engine wants them."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.ranges import bound, flag, positive_or_none
from pipeline.nnet.recurrent.cells.base import Cell, halved
from pipeline.nnet.recurrent.cells.normalization import normalize_rows
from pipeline.nnet.recurrent.protocol import Tensors, Weights


@keras.saving.register_keras_serializable(package="keraldi")
class _ForgetBias(keras.initializers.Initializer):
    """Zero but for the forget gates, the second of four blocks, which start open at one."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
        units = shape[0] // 4
        ones = tf.ones([units], dtype or "float32")
        return tf.concat([0 * ones, ones, 0 * ones, 0 * ones], axis=0)


class Parts(NamedTuple):
    """The recurrent weights by name; None where the cell has no such part."""

    recurrent: tf.Tensor
    projection: tf.Tensor | None
    peephole_in: tf.Tensor | None  # of i and f, which see the cell before the frame
    peephole_out: tf.Tensor | None  # of o, which sees it after
    gain: tf.Tensor | None  # of the normalised U r
    cell_gain: tf.Tensor | None
    cell_bias: tf.Tensor | None


class LSTMWeights(Cell):
    """Options and weights of `LSTMPCell`, which has the steps; see there."""

    def __init__(
        self,
        units: int,
        *,
        projection: int | None = None,
        nonrecurrent: int | None = None,
        peepholes: bool = False,
        forget_gate: bool = True,
        forget_bias: bool = True,
        layer_norm: bool = False,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        flags = {
            "peepholes": peepholes,
            "forget_gate": forget_gate,
            "forget_bias": forget_bias,
            "layer_norm": layer_norm,
        }
        for name, value in flags.items():
            flag(name, value)
        if forget_gate and forget_bias:
            kwargs.setdefault("bias_initializer", _ForgetBias())
        super().__init__(units, **kwargs)
        self.projection = positive_or_none("projection", projection)
        self.nonrecurrent = self._needs_projection(
            "nonrecurrent", positive_or_none("nonrecurrent", nonrecurrent)
        )
        self.peepholes, self.forget_gate = peepholes, forget_gate
        self.forget_bias, self.layer_norm = forget_bias, layer_norm
        self.cell_clip = bound("cell_clip", cell_clip)
        self.projection_clip = self._needs_projection(
            "projection_clip", bound("projection_clip", projection_clip)
        )
        self.gates = 4 if forget_gate else 3

    def _needs_projection(self, name: str, value: Any) -> Any:
        if value is not None and self.projection is None:
            raise ConfigError(f"{name}: there is no projection; give projection too")
        return value

    @property
    def state_size(self) -> list[int]:
        """Widths of the output [r; p] and of c."""
        return [self.recurrent_size + (self.nonrecurrent or 0), self.units]

    @property
    def recurrent_size(self) -> int:
        """P, the width of r."""
        return self.projection or self.units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        super().build(input_shape)
        if self.projection is not None:
            self.projection_kernel = self.add_ruled(
                "kernel", (self.units, self.output_size), "projection_kernel"
            )
        if self.peepholes:
            self.peephole_kernel = self.add_weight(
                shape=(self.gates - 1, self.units),
                initializer="zeros",
                name="peephole_kernel",
            )
        if self.layer_norm:
            shapes = {
                "input_gain": self.width,
                "recurrent_gain": self.width,
                "cell_gain": self.units,
            }
            for name, width in shapes.items():
                weight = self.add_weight(shape=(width,), initializer="ones", name=name)
                setattr(self, name, weight)
            self.cell_bias = self.add_weight(
                shape=(self.units,), initializer="zeros", name="cell_bias"
            )

    def _order(self, rows: tf.Tensor) -> tf.Tensor:
        """i, f, g, o to o, i, f, g: all that is squashed by a sigmoid side by side."""
        *rest, out = tf.split(rows, self.gates)
        return tf.concat([out, *rest], 0)

    def arrange(self, rows: tf.Tensor) -> tf.Tensor:
        """Ordered, the sigmoids' halved: σ(x) = (1 + tanh(x / 2)) / 2, one tanh for all."""
        return halved(self._order(rows), self.width - self.units)

    def recurrent_columns(self) -> list[tf.Tensor]:
        """The parts that there are, in the order of `Parts`."""
        recurrent = tf.transpose(tf.convert_to_tensor(self.recurrent_kernel))
        parts = [(self._order if self.layer_norm else self.arrange)(recurrent)]
        if self.projection is not None:
            parts.append(tf.transpose(tf.convert_to_tensor(self.projection_kernel)))
        if self.peepholes:
            rows = 0.5 * tf.convert_to_tensor(self.peephole_kernel)
            parts += [tf.reshape(rows[:-1], [-1, 1]), rows[-1][:, None]]
        if self.layer_norm:
            parts.append(self.arrange(self.vector(self.recurrent_gain)))
            parts += [self.vector(self.cell_gain), self.vector(self.cell_bias)]
        return parts

    def parts(self, weights: Tensors) -> Parts:
        """What `recurrent_columns` gave, by name."""
        rest = list(weights)

        def take(present: bool, count: int) -> list[Any]:
            return [rest.pop(0) if present else None for _ in range(count)]

        return Parts(
            *take(True, 1),
            *take(self.projection is not None, 1),
            *take(self.peepholes, 2),
            *take(self.layer_norm, 3),
        )

    def prepare(
        self, inputs: tf.Tensor, mask: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, Weights]:
        """With layer norm the inputs' products [B, T, G], normalised; else the inputs."""
        if not self.layer_norm:
            return super().prepare(inputs, mask, training)
        kernel = self._order(tf.transpose(tf.convert_to_tensor(self.kernel)))
        products = tf.matmul(inputs, kernel[None], transpose_b=True)
        gain = self.arrange(tf.convert_to_tensor(self.input_gain))
        normal = normalize_rows(products) * gain
        bias = self.arrange(self.vector(self.bias))
        return normal, Weights(None, bias, self.recurrent_columns())

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        names = (
            "projection",
            "nonrecurrent",
            "peepholes",
            "forget_gate",
            "forget_bias",
            "layer_norm",
            "cell_clip",
            "projection_clip",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
