"""Recurrence in plain operations, for converters to runtimes that know no training.

The engine's gradient, masks and batches are left out: one utterance, forward only. Frames are
walked in blocks, a loop in a loop, because TFLite's loops copy what they carry at every turn:
with blocks the time is linear in the length, and it would be quadratic.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pipeline.nnet.network import AcousticModel
from pipeline.nnet.recurrent import Recurrent

_BLOCK = 32  # frames a turn of the outer loop


def _block(
    cell: Any,
    z: tf.Tensor,
    states: tuple[tf.Tensor, ...],
    weights: Sequence[tf.Tensor],
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """Runs a cell over [K, G] products: the states [N, 1] after them, and outputs [K, N]."""
    width = cell.output_size
    length = z.shape[0] if z.shape[0] is not None else tf.shape(z)[0]

    def step(
        time: tf.Tensor, states: tuple[tf.Tensor, ...], outputs: tf.TensorArray
    ) -> tuple[Any, ...]:
        column = tf.gather(z, time)[:, None]
        new = cell.infer(column, list(states), weights)
        return time + 1, tuple(new), outputs.write(time, new[0])

    outputs = tf.TensorArray(tf.float32, size=length, element_shape=[width, 1])
    _, states, outputs = tf.while_loop(
        lambda time, *_: time < length, step, (tf.constant(0), states, outputs)
    )
    return states, tf.reshape(outputs.stack(), [-1, width])


def _blocks(cell: Any, inputs: tf.Tensor) -> tf.Tensor:
    """Runs a cell over frames [T, F] from zero states: outputs [T, N]."""
    z, weights = cell.products(inputs)
    length, width = tf.shape(z)[0], cell.output_size
    count = (length + _BLOCK - 1) // _BLOCK
    # Frames after the last change nothing before them.
    z = tf.pad(z, [[0, count * _BLOCK - length], [0, 0]])
    z = tf.reshape(z, [-1, _BLOCK, z.shape[-1]])

    def step(
        number: tf.Tensor, states: tuple[tf.Tensor, ...], outputs: tf.TensorArray
    ) -> tuple[Any, ...]:
        states, rows = _block(cell, tf.gather(z, number), states, weights)
        return number + 1, states, outputs.write(number, tf.ensure_shape(rows, shape))

    shape = [_BLOCK, width]
    outputs = tf.TensorArray(tf.float32, size=count, element_shape=shape)
    states = tuple(tf.zeros([size, 1]) for size in cell.state_size)
    _, _, outputs = tf.while_loop(
        lambda number, *_: number < count, step, (tf.constant(0), states, outputs)
    )
    return tf.reshape(outputs.stack(), [-1, width])[:length]


class _PlainLayer:
    """Stands in a block in place of a recurrent layer that returns sequences and states.

    Args:
        layer: the layer, built.
    """

    def __init__(self, layer: Recurrent) -> None:
        self._cell = layer.cell
        self._reverse = layer.go_backwards

    def __call__(
        self,
        inputs: tf.Tensor,
        mask: None = None,
        initial_state: list[tf.Tensor] | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, ...]:
        """Outputs [1, T, N] of inputs [1, T, F]; with states given, those after it too."""
        frames = inputs[0]
        if initial_state is not None:
            z, weights = self._cell.products(frames)
            columns = tuple(tf.transpose(state) for state in initial_state)
            states, outputs = _block(self._cell, z, columns, weights)
            return (outputs[None], *map(tf.transpose, states))
        if self._reverse:
            frames = tf.reverse(frames, axis=[0])
        return (_blocks(self._cell, frames)[None],)


class PlainNetwork:
    """A network in plain operations, for one utterance without mask.

    Args:
        network: what it computes; its weights are copied.

    Attributes:
        weights: the copies.
        state_sizes: widths of every block's states.
    """

    def __init__(self, network: AcousticModel) -> None:
        self._copy = AcousticModel.from_config(network.get_config())
        self._copy.set_weights(network.get_weights())
        self.weights = self._copy.weights
        self.input_dim = network.input_dim
        self.state_sizes: list[list[int]] = []
        for block in self._copy.blocks:
            if not block.is_recurrent:
                self.state_sizes.append([])
                continue
            self.state_sizes.append(list(block.layer.cell.state_size))
            block.layer = _PlainLayer(block.layer)
            if block.backward is not None:
                block.backward = _PlainLayer(block.backward)

    def __call__(self, frames: tf.Tensor) -> tf.Tensor:
        """Log-posteriors [1, T, V] of frames [1, T, F]."""
        return self._copy.run(frames)[0]

    def step(
        self, frames: tf.Tensor, states: list[list[tf.Tensor]]
    ) -> tuple[tf.Tensor, list[list[tf.Tensor]]]:
        """The same from given states, which are returned as they are after the last frame."""
        return self._copy.run(frames, states=states)
