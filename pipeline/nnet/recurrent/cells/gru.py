"""Gated recurrent units: reset before or after the product, projected, normalised."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipeline.nnet.ranges import check_gru_norm, flag, positive_or_none
from pipeline.nnet.recurrent.cells.base import Cell, halved
from pipeline.nnet.recurrent.cells.normalization import (
    normalize,
    normalize_gradient,
    normalize_rows,
    total,
)
from pipeline.nnet.recurrent.protocol import Frame, Stacked, Tensors, Weights


@keras.saving.register_keras_serializable(package="keraldi")
class GRUCell(Cell):
    """Gated recurrent unit.

        z, r = σ(W x + U h_ + b)
        h̃ = tanh(W x + U (r ⊙ h_) + b), or with `reset_after` tanh(W x + r ⊙ (U h_ + b') + b)
        h = (1 − z) ⊙ h_ + z ⊙ h̃

    With a projection s = P h is the output, and s_ stands for h_ in the first two lines.
    With layer norm LN(W x) and LN(U h_) stand for W x and U h_, the norm of both gates
    together and that of the candidate apart.
    Blocks stand in the order z, r, h̃; Keras's GRU calls 1 − z its z.

    Args:
        units: cells N.
        reset_after: whether the reset gate comes after the product, as cuDNN and Keras
            have it, or before, as Cho et al.
        projection: width P of s; None leaves it out.
        layer_norm: whether products are normalised over their units. Needs `reset_after`.
        **kwargs: see `Cell`.

    References:
        Cho et al. 2014; Chung et al. 2014; Kaldi's projected GRU (`pgru`); Ba,
        Kiros & Hinton 2016 (layer norm).
    """

    gates = 3

    def __init__(
        self,
        units: int,
        *,
        reset_after: bool = False,
        projection: int | None = None,
        layer_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        if layer_norm:
            check_gru_norm("layer_norm", reset_after)
        self.layer_norm = flag("layer_norm", layer_norm)
        self.reset_after = flag("reset_after", reset_after)
        self.projection = positive_or_none("projection", projection)

    @property
    def state_size(self) -> list[int]:
        """Width of h; with a projection of s and h."""
        return [self.projection, self.units] if self.projection else [self.units]

    @property
    def sigmoids(self) -> int:
        """How many rows of the products are gates: z, and r as wide as what it resets."""
        return self.units + (self.units if self.reset_after else self.recurrent_size)

    @property
    def width(self) -> int:
        """G, the width of the inputs' products."""
        return self.sigmoids + self.units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for inputs of width `input_shape[-1]`."""
        super().build(input_shape)
        if self.reset_after:
            self.recurrent_bias = self.add_ruled(
                "bias", (self.units,), "recurrent_bias"
            )
        if self.projection is not None:
            self.projection_kernel = self.add_ruled(
                "kernel", (self.units, self.projection), "projection_kernel"
            )
        if self.layer_norm:
            self.input_gain, self.recurrent_gain = (
                self.add_weight(shape=(self.width,), initializer="ones", name=name)
                for name in ("input_gain", "recurrent_gain")
            )

    def arrange(self, rows: tf.Tensor) -> tf.Tensor:
        """The gates halved, for one tanh serves all."""
        return halved(rows, self.sigmoids)

    def _candidate_first(self, rows: tf.Tensor) -> tf.Tensor:
        """[G, ...] of z, r, h̃ to h̃, z, r, the order of U h_ where the reset comes after."""
        gates, candidate = tf.split(rows, [self.sigmoids, self.units])
        return tf.concat([candidate, gates], 0)

    def recurrent_columns(self) -> list[tf.Tensor]:
        """U and b', or U of the gates and of the candidate; P; the gain of U h_."""
        recurrent = super().recurrent_columns()[0]
        if self.layer_norm:
            recurrent = tf.transpose(tf.convert_to_tensor(self.recurrent_kernel))
        if self.reset_after:
            recurrent = self._candidate_first(recurrent)
            parts = [recurrent, self.vector(self.recurrent_bias)]
        else:
            parts = tf.split(recurrent, [self.sigmoids, self.units])
        if self.projection is not None:
            parts.append(tf.transpose(tf.convert_to_tensor(self.projection_kernel)))
        if self.layer_norm:
            gain = self.arrange(self.vector(self.recurrent_gain))
            parts.append(self._candidate_first(gain))
        return parts

    def prepare(
        self, inputs: tf.Tensor, mask: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, Weights]:
        """With layer norm the inputs' products [B, T, G], normalised; else the inputs."""
        if not self.layer_norm:
            return super().prepare(inputs, mask, training)
        products = tf.matmul(inputs, tf.convert_to_tensor(self.kernel)[None])
        parts = tf.split(products, [self.sigmoids, self.units], -1)
        gain = self.arrange(tf.convert_to_tensor(self.input_gain))
        normal = tf.concat([normalize_rows(part) for part in parts], -1) * gain
        bias = self.arrange(self.vector(self.bias))
        return normal, Weights(None, bias, self.recurrent_columns())

    def _normalized(self, product: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """U h_ normalised, [G, B], and what candidate and gates were multiplied by."""
        parts = tf.split(product, [self.units, self.sigmoids])
        normals, factors = zip(*map(normalize, parts), strict=True)
        return tf.concat(normals, 0), list(factors)

    def _normalized_gradient(
        self, grad: tf.Tensor, normal: tf.Tensor, factors: Tensors
    ) -> tf.Tensor:
        """The gradient of U h_ from that of what `_normalized` made of it."""
        sizes = [self.units, self.sigmoids]
        parts = zip(
            tf.split(grad, sizes), tf.split(normal, sizes), factors, strict=True
        )
        return tf.concat([normalize_gradient(*part) for part in parts], 0)

    @property
    def saved_sizes(self) -> list[int]:
        """The gates' tanhs and the candidate; with `reset_after` U h_ + b'; the norm's."""
        after = [self.units] if self.reset_after else []
        norm = [self.width, 1, 1] if self.layer_norm else []
        return [self.sigmoids, self.units, *after, *norm]

    @property
    def gradient_size(self) -> int:
        """With `reset_after` the candidate's share of U h_ stands above z's gradient."""
        return self.width + (self.units if self.reset_after else 0)

    @property
    def more_sizes(self) -> list[int]:
        """As `weight_gradients` takes them apart."""
        projected = [] if self.projection is None else [self.projection, self.units]
        last = [] if self.reset_after else [self.recurrent_size]
        norm = [self.width, self.width] if self.layer_norm else []
        return [self.recurrent_size, *projected, *norm, *last]

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves the gates' tanhs, the candidate, and U h_ + b'."""
        fed_back, hidden = self.fed_back(states[0], constants), states[-1]
        z_gates, z_candidate = tf.split(z, [self.sigmoids, self.units])
        saved = []
        if self.reset_after:
            product, norm = weights[0] @ fed_back, []
            if self.layer_norm:
                normal, factors = self._normalized(product)
                product, norm = weights[-1] * normal, [normal, *factors]
            inner, gates = tf.split(product, [self.units, self.sigmoids])
            tanhs, inner = tf.tanh(z_gates + gates), inner + weights[1]
            update, reset = self._gates(tanhs)
            candidate = tf.tanh(z_candidate + reset * inner)
            saved = [inner, *norm]
        else:
            tanhs = tf.tanh(z_gates + weights[0] @ fed_back)
            update, reset = self._gates(tanhs)
            candidate = tf.tanh(z_candidate + weights[1] @ (reset * fed_back))
        hidden += update * (candidate - hidden)
        output = [] if self.projection is None else [weights[2] @ hidden]
        return [*output, hidden], [tanhs, candidate, *saved]

    def _gates(self, tanhs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        update, reset = tf.split(0.5 * tanhs + 0.5, [self.units, -1])
        return update, reset

    def backward(
        self, grads: Tensors, frame: Frame, weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        tanhs, candidate = frame.saved[:2]
        update, reset = self._gates(tanhs)
        fed_back = self.fed_back(frame.before[0], frame.constants)
        hidden, d_hidden, more = frame.before[-1], grads[-1], [fed_back]
        if self.projection is not None:
            d_hidden += turned[2] @ grads[0]
            more += [grads[0], frame.after[1]]
        d_candidate = tf.raw_ops.TanhGrad(y=candidate, dy=d_hidden * update)
        if self.reset_after:
            inner = frame.saved[2]
            d_reset, d_inner = d_candidate * inner, d_candidate * reset
        else:
            d_product = turned[1] @ d_candidate
            d_reset, d_fed_back = d_product * fed_back, d_product * reset
        d_update = d_hidden * (candidate - hidden)
        d_sigmoids = tf.concat([d_update, d_reset], 0)
        d_gates = tf.raw_ops.TanhGrad(y=tanhs, dy=0.5 * d_sigmoids)
        gradients = [d_gates, d_candidate]
        if self.reset_after:
            gradients.insert(0, d_inner)
        found = tf.concat(gradients, 0)
        if self.reset_after:
            d_product = found[: self.width]
            if self.layer_norm:
                normal, *factors = frame.saved[3:]
                d_product = self._normalized_gradient(
                    weights[-1] * d_product, normal, factors
                )
                more += [d_product, normal]
            d_fed_back = turned[0] @ d_product
        else:
            d_fed_back += turned[0] @ d_gates
            more.append(reset * fed_back)
        d_fed_back = self.fed_back_gradient(d_fed_back, frame.constants)
        d_carried = d_hidden * (1.0 - update)
        before = [d_fed_back, d_carried]
        if self.projection is None:
            before = [d_fed_back + d_carried]
        return found, before, more

    def weight_gradients(self, found: Stacked, more: Sequence[Stacked]) -> Tensors:
        """In the order of `recurrent_columns`."""
        fed_back, *rest = more
        projection, gain = [], []
        if self.projection is not None:
            d_output, hidden, *rest = rest
            projection = [d_output.columns @ hidden.rows]
        if self.reset_after:
            d_product = found.columns[: self.width]
            bias = total(d_product[: self.units])
            if self.layer_norm:
                d_raw, normal = (part.columns for part in rest)
                gain, d_product = [total(d_product * normal)], d_raw
            gradients = [d_product @ fed_back.rows, bias]
        else:
            d_gates, d_candidate = tf.split(found.columns, [self.sigmoids, self.units])
            gradients = [d_gates @ fed_back.rows, d_candidate @ rest[0].rows]
        return [*gradients, *projection, *gain]

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the cell is made again."""
        return {
            **super().get_config(),
            "reset_after": self.reset_after,
            "projection": self.projection,
            "layer_norm": self.layer_norm,
        }
