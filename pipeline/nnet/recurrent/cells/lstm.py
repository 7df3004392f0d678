"""Long short-term memory: 1997, with forget gate, peepholes, projections, layer norm."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent.arguments import bound, flag, positive_or_none
from pipeline.nnet.recurrent.cells.base import Cell, halved
from pipeline.nnet.recurrent.cells.normalization import (
    normalize,
    normalize_gradient,
    normalize_rows,
    total,
)
from pipeline.nnet.recurrent.protocol import Frame, Tensors, Weights


@keras.saving.register_keras_serializable(package="keraldi")
class _ForgetBias(keras.initializers.Initializer):
    """Zero but for the forget gates, the second of four blocks, which start open at one."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
        units = shape[0] // 4
        ones = tf.ones([units], dtype or "float32")
        return tf.concat([0 * ones, ones, 0 * ones, 0 * ones], axis=0)


class _Parts(NamedTuple):
    """The recurrent weights by name; None where the cell has no such part."""

    recurrent: tf.Tensor
    projection: tf.Tensor | None
    peephole_in: tf.Tensor | None  # of i and f, which see the cell before the frame
    peephole_out: tf.Tensor | None  # of o, which sees it after
    gain: tf.Tensor | None  # of the normalised U r
    cell_gain: tf.Tensor | None
    cell_bias: tf.Tensor | None


class _Gates(NamedTuple):
    """What a frame's gates say, [N, B] each; `forget` None without forget gate."""

    out: tf.Tensor
    into: tf.Tensor
    forget: tf.Tensor | None
    candidate: tf.Tensor


@keras.saving.register_keras_serializable(package="keraldi")
class LSTMPCell(Cell):
    """Long short-term memory, with whatever the literature has added to it.

        i, f, o = σ(W x + U r_ + b),  g = tanh(W x + U r_ + b)
        c = f ⊙ c_ + i ⊙ g
        m = o ⊙ tanh c
        r = P m, output and fed back; without P, r = m and it is the LSTM

    Without forget gate c = c_ + i ⊙ g (1997). With peepholes i and f also see w ⊙ c_, and
    o sees w ⊙ c. With a non-recurrent projection p = Q m the output is [r; p] and only r
    is fed back. With layer norm LN(W x) + LN(U r_) + b stands for W x + U r_ + b, and
    tanh LN(c) for tanh c. Gates stand in Keras's order i, f, g, o.

    Args:
        units: cells N.
        projection: width P of r; None leaves the projection out.
        nonrecurrent: width Q of p; None leaves it out. Needs a projection.
        peepholes: whether the gates see the cell.
        forget_gate: False makes the LSTM of 1997.
        forget_bias: the forget gates' first bias is one (Gers et al. 1999; Jozefowicz et
            al. 2015); ignored when `bias_initializer` is given.
        layer_norm: whether products and cell are normalised over their units.
        cell_clip: bound of c from both sides.
        projection_clip: bound of the output from both sides. Needs a projection.
        **kwargs: see `Cell`.

    References:
        Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 1999 (forget gate);
        Graves 2013 (peepholes); Sak, Senior & Beaufays 2014 (projections, clipping); Ba,
        Kiros & Hinton 2016 (layer norm).
    """

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
        """The parts that there are, in the order of `_Parts`."""
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

    def _parts(self, weights: Tensors) -> _Parts:
        rest = list(weights)

        def take(present: bool, count: int) -> list[Any]:
            return [rest.pop(0) if present else None for _ in range(count)]

        return _Parts(
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

    def _gates(self, tanhs: tf.Tensor) -> _Gates:
        """The gates from the tanh of all halved preactivations, [G, B]."""
        sigmoids = 0.5 * tanhs[: -self.units] + 0.5
        out, into, *forget = tf.split(sigmoids, self.gates - 1)
        return _Gates(out, into, forget[0] if forget else None, tanhs[-self.units :])

    def _squash(self, cell: tf.Tensor, parts: _Parts) -> tf.Tensor:
        if self.layer_norm:
            cell = parts.cell_gain * normalize(cell)[0] + parts.cell_bias
        return tf.tanh(cell)

    def _remember(self, gates: _Gates, cell: tf.Tensor) -> tf.Tensor:
        """c after the frame."""
        old = cell if gates.forget is None else gates.forget * cell
        new = old + gates.into * gates.candidate
        if self.cell_clip is not None:
            new = tf.clip_by_value(new, -self.cell_clip, self.cell_clip)
        return new

    @property
    def saved_sizes(self) -> list[int]:
        """The tanhs; with layer norm U r normalised, and what it was multiplied by."""
        return [self.width, *([self.width, 1] if self.layer_norm else [])]

    @property
    def more_sizes(self) -> list[int]:
        """As `weight_gradients` takes them apart."""
        sizes = [self.recurrent_size]
        if self.projection is not None:
            sizes += [self.output_size, self.units]
        if self.peepholes:
            sizes += [self.units, self.units]
        if self.layer_norm:
            sizes += [self.width, self.width, self.units, self.units]
        return sizes

    def forward(
        self, z: tf.Tensor, states: Tensors, weights: Tensors, constants: Tensors
    ) -> tuple[Tensors, Tensors]:
        """One frame; see the class. Saves the tanhs, and with layer norm what it made."""
        parts = self._parts(weights)
        product = parts.recurrent @ self.fed_back(states[0], constants)
        saved = []
        if self.layer_norm:
            normal, factor = normalize(product)
            saved = [normal, factor]
            product = parts.gain * normal
        before = states[1]
        if self.peepholes:
            tanhs, gates, cell = self._peep(z + product, before, parts)
        else:
            tanhs = tf.tanh(z + product)
            gates = self._gates(tanhs)
            cell = self._remember(gates, before)
        output = gates.out * self._squash(cell, parts)
        if self.projection is not None:
            output = parts.projection @ output
        if self.projection_clip is not None:
            output = tf.clip_by_value(
                output, -self.projection_clip, self.projection_clip
            )
        return [output, cell], [tanhs, *saved]

    def _peep(
        self, preactivation: tf.Tensor, before: tf.Tensor, parts: _Parts
    ) -> tuple[tf.Tensor, _Gates, tf.Tensor]:
        """Tanhs, gates and cell where the gates see the cell."""
        units = self.units
        seen = parts.peephole_in * tf.tile(before, [self.gates - 2, 1])
        inner = tf.concat(
            [preactivation[units:-units] + seen, preactivation[-units:]], 0
        )
        tanhs = tf.concat([preactivation[:units], tf.tanh(inner)], 0)
        cell = self._remember(self._gates(tanhs), before)
        out = tf.tanh(preactivation[:units] + parts.peephole_out * cell)
        tanhs = tf.concat([out, tanhs[units:]], 0)
        return tanhs, self._gates(tanhs), cell

    def backward(
        self, grads: Tensors, frame: Frame, weights: Tensors, turned: Tensors
    ) -> tuple[tf.Tensor, Tensors, Tensors]:
        """The gradient of one frame."""
        parts, d_output = self._parts(weights), grads[0]
        cell_before, cell, tanhs = frame.before[1], frame.after[1], frame.saved[0]
        if self.projection_clip is not None:
            d_output = _where_within(frame.after[0], self.projection_clip, d_output)
        d_hidden = d_output
        if self.projection is not None:
            d_hidden = turned[1] @ d_output
        gates = self._gates(tanhs)
        squashed = self._squash(cell, parts)
        d_squashed = d_hidden * gates.out * (1.0 - squashed * squashed)
        more = [self.fed_back(frame.before[0], frame.constants)]
        if self.projection is not None:
            more += [d_output, gates.out * squashed]
        d_cell = grads[1]
        if self.layer_norm:
            normal, factor = normalize(cell)
            d_normal = normalize_gradient(parts.cell_gain * d_squashed, normal, factor)
            d_cell += d_normal
        else:
            d_cell += d_squashed
        slopes = 1.0 - tanhs * tanhs
        half = 0.5 * d_hidden * squashed
        if self.peepholes:
            d_cell += parts.peephole_out * (half * slopes[: self.units])
            more += [cell_before, cell]
        if self.cell_clip is not None:
            d_cell = _where_within(cell, self.cell_clip, d_cell)
        dz = self._gate_gradients(half, d_cell, gates, tanhs, cell_before) * slopes
        d_before = d_cell if gates.forget is None else d_cell * gates.forget
        if self.peepholes:
            seen = parts.peephole_in * dz[self.units : -self.units]
            d_before += tf.add_n(tf.split(seen, self.gates - 2))
        d_product = dz
        if self.layer_norm:
            d_product = normalize_gradient(parts.gain * dz, *frame.saved[1:])
            more += [d_product, frame.saved[1], d_squashed, normal]
        fed_back = self.fed_back_gradient(turned[0] @ d_product, frame.constants)
        return dz, [fed_back, d_before], more

    def _gate_gradients(
        self,
        half: tf.Tensor,
        d_cell: tf.Tensor,
        gates: _Gates,
        tanhs: tf.Tensor,
        cell_before: tf.Tensor,
    ) -> tf.Tensor:
        """Of the tanhs [G, B], `half` being half the gradient of o."""
        d_half = 0.5 * d_cell
        into = tanhs[self.units : 2 * self.units] + 1.0  # twice the input gate
        blocks = [half, d_half * gates.candidate]
        if gates.forget is not None:
            blocks.append(d_half * cell_before)
        return tf.concat([*blocks, d_half * into], 0)

    def weight_gradients(self, dz: tf.Tensor, more: Tensors) -> Tensors:
        """Of the parts that there are, in the order of `_Parts`."""
        rest = list(more)
        fed_back, d_product = rest.pop(0), dz
        projection, peepholes, norm = [], [], []
        if self.projection is not None:
            d_output, hidden = rest.pop(0), rest.pop(0)
            projection = [tf.matmul(d_output, hidden, transpose_b=True)]
        if self.peepholes:
            before, after = rest.pop(0), rest.pop(0)
            seen = dz[self.units : -self.units] * tf.tile(before, [self.gates - 2, 1])
            peepholes = [total(seen), total(dz[: self.units] * after)]
        if self.layer_norm:
            d_product, normal, d_squashed, cell = rest
            norm = [total(dz * normal), total(d_squashed * cell), total(d_squashed)]
        recurrent = tf.matmul(d_product, fed_back, transpose_b=True)
        return [recurrent, *projection, *peepholes, *norm]

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


def _where_within(values: tf.Tensor, limit: float, grad: tf.Tensor) -> tf.Tensor:
    """The gradient where the values were not clipped."""
    return tf.where(tf.abs(values) < limit, grad, tf.zeros([], grad.dtype))
