"""Long short-term memory: 1997, with forget gate, peepholes, projections, layer norm."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from pipeline.nnet.recurrent.cells.lstm_weights import LSTMWeights, Parts
from pipeline.nnet.recurrent.cells.normalization import (
    normalize,
    normalize_gradient,
    total,
)
from pipeline.nnet.recurrent.protocol import Frame, Stacked, Tensors


class _Gates(NamedTuple):
    """What a frame's gates say, [N, B] each; `forget` None without forget gate."""

    out: tf.Tensor
    into: tf.Tensor
    forget: tf.Tensor | None
    candidate: tf.Tensor


@keras.saving.register_keras_serializable(package="keraldi")
class LSTMPCell(LSTMWeights):
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

    def _gates(self, tanhs: tf.Tensor) -> _Gates:
        """The gates from the tanh of all halved preactivations, [G, B]."""
        halves, candidate = tf.split(tanhs, [-1, self.units])
        out, into, *forget = tf.split(0.5 * halves + 0.5, self.gates - 1)
        return _Gates(out, into, forget[0] if forget else None, candidate)

    def _squash(self, cell: tf.Tensor, parts: Parts) -> tf.Tensor:
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
        parts = self.parts(weights)
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
        self, preactivation: tf.Tensor, before: tf.Tensor, parts: Parts
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
        parts, d_output = self.parts(weights), grads[0]
        cell_before, cell, tanhs = frame.before[1], frame.after[1], frame.saved[0]
        if self.projection_clip is not None:
            d_output = _where_within(frame.after[0], self.projection_clip, d_output)
        d_hidden = d_output
        if self.projection is not None:
            d_hidden = turned[1] @ d_output
        gates = self._gates(tanhs)
        squashed = self._squash(cell, parts)
        d_squashed = tf.raw_ops.TanhGrad(y=squashed, dy=d_hidden * gates.out)
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
        half = 0.5 * d_hidden * squashed
        if self.peepholes:
            d_out = tf.raw_ops.TanhGrad(y=tanhs[: self.units], dy=half)
            d_cell += parts.peephole_out * d_out
            more += [cell_before, cell]
        if self.cell_clip is not None:
            d_cell = _where_within(cell, self.cell_clip, d_cell)
        d_tanhs = self._gate_gradients(half, d_cell, gates, cell_before)
        dz = tf.raw_ops.TanhGrad(y=tanhs, dy=d_tanhs)
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
        cell_before: tf.Tensor,
    ) -> tf.Tensor:
        """Of the tanhs [G, B], `half` being half the gradient of o."""
        d_half = 0.5 * d_cell
        blocks = [half, d_half * gates.candidate]
        if gates.forget is not None:
            blocks.append(d_half * cell_before)
        return tf.concat([*blocks, d_cell * gates.into], 0)

    def weight_gradients(self, found: Stacked, more: Sequence[Stacked]) -> Tensors:
        """Of the parts that there are, in the order of `Parts`."""
        rest = list(more)
        fed_back, d_product = rest.pop(0), found
        projection, peepholes, norm = [], [], []
        if self.projection is not None:
            d_output, hidden = rest.pop(0), rest.pop(0)
            projection = [d_output.columns @ hidden.rows]
        if self.peepholes:
            dz, before, after = (s.columns for s in (found, rest.pop(0), rest.pop(0)))
            seen = dz[self.units : -self.units] * tf.tile(before, [self.gates - 2, 1])
            peepholes = [total(seen), total(dz[: self.units] * after)]
        if self.layer_norm:
            d_product = rest[0]
            normal, d_squashed, cell = (part.columns for part in rest[1:])
            norm = [total(found.columns * normal), total(d_squashed * cell)]
            norm.append(total(d_squashed))
        recurrent = d_product.columns @ fed_back.rows
        return [recurrent, *projection, *peepholes, *norm]


def _where_within(values: tf.Tensor, limit: float, grad: tf.Tensor) -> tf.Tensor:
    """The gradient where the values were not clipped."""
    return tf.where(tf.abs(values) < limit, grad, tf.zeros([], grad.dtype))
