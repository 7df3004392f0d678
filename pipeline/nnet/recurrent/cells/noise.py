"""What training leaves out at random: inputs, what is fed back, the step of single units."""

from typing import Any

import keras
import tensorflow as tf

from pipeline.nnet.ranges import share
from pipeline.nnet.recurrent.protocol import Tensors


class Noise(keras.layers.Layer):
    """A layer with dropout that stays the same over a sequence, and zoneout.

    Args:
        dropout: share of the inputs dropped in training, the same ones at every frame of
            a sequence (Gal & Ghahramani 2016).
        recurrent_dropout: share of the fed-back output dropped likewise.
        zoneout: share of the units of each state that keep their old value at a frame of
            training; otherwise each state is the mean of both (Krueger et al. 2017).
        **kwargs: of `keras.layers.Layer`.

    Attributes:
        seed_generator: of all that is drawn; made by the cell, after its initializers, which
            take their seeds from the same source.
    """

    seed_generator: keras.random.SeedGenerator

    def __init__(
        self,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dropout = share("dropout", dropout)
        self.recurrent_dropout = share("recurrent_dropout", recurrent_dropout)
        self.zoneout = share("zoneout", zoneout)

    @property
    def state_size(self) -> list[int]:
        """Widths of the states, the output first."""
        raise NotImplementedError

    @property
    def recurrent_size(self) -> int:
        """Width of what is fed back."""
        raise NotImplementedError

    def _noise(self, shape: Any, rate: float, dtype: Any) -> tf.Tensor:
        """Nought with probability `rate`, else 1 / (1 - rate)."""
        kept = keras.random.uniform(shape, seed=self.seed_generator) >= rate
        return tf.cast(kept, dtype) / (1.0 - rate)

    def drop_inputs(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        """Inputs [B, T, F], in training less those dropped throughout their sequence."""
        if not (training and self.dropout):
            return inputs
        shape = (tf.shape(inputs)[0], 1, inputs.shape[-1])
        return inputs * self._noise(shape, self.dropout, inputs.dtype)

    def constants(self, batch: Any, dtype: Any, training: bool) -> list[tf.Tensor]:
        """What stays the same over a sequence: which fed-back units are dropped, [B, P]."""
        if not (training and self.recurrent_dropout):
            return []
        return [
            self._noise((batch, self.recurrent_size), self.recurrent_dropout, dtype)
        ]

    def holds(self, batch: Any, frames: Any, dtype: Any, training: bool) -> list[Any]:
        """For each state the share of its old value kept: [B, T, N_k] in training."""
        if not self.zoneout:
            return []
        if not training:
            return [self.zoneout] * len(self.state_size)
        return [
            tf.cast(
                keras.random.uniform((batch, frames, size), seed=self.seed_generator)
                < self.zoneout,
                dtype,
            )
            for size in self.state_size
        ]

    def get_config(self) -> dict[str, Any]:
        """Arguments from which the layer is made again."""
        return {
            **super().get_config(),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "zoneout": self.zoneout,
        }


def mixed(shares: list[Any], old: Tensors, new: Tensors) -> list[tf.Tensor]:
    """Each state with its share of the old value."""
    return [
        share * o + (1.0 - share) * n
        for share, o, n in zip(shares, old, new, strict=True)
    ]
