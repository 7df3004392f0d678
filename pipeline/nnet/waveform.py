"""One model from waveform to log-posteriors: the front end and the network, in one file."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.frontend_layer import WaveformFrontend
from pipeline.nnet.network import AcousticModel
from pipeline.nnet.recipe import Recipe

States = list[list[tf.Tensor]]


def prolonged(frames: tf.Tensor, delay: int) -> tf.Tensor:
    """[B, T, F] to [B, T + delay, F], the last frame repeated."""
    if not delay:
        return frames
    last = tf.shape(frames)[1] - 1
    return tf.gather(
        frames, tf.minimum(tf.range(last + 1 + delay), last), axis=1
    )  # [B, T + delay, F]


@keras.saving.register_keras_serializable(package="keraldi")
class WaveformModel(keras.Model):
    """Waveforms [B, S] at the recipe's rate to log-posteriors [B, T, V].

    All waveforms of a batch have the same length, of one frame at least; a label delay of the
    network is taken out, so that row k always speaks of network frame k.

    Args:
        network: configuration of the `AcousticModel`.
        stats: CMVN statistics [2, F + 1] in place of those of each utterance, or None.
    """

    def __init__(
        self,
        network: dict[str, Any],
        stats: Sequence[Sequence[float]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.recipe = network["recipe"]
        recipe = Recipe.from_values(self.recipe, source="waveform model")
        self.delay = recipe.label_delay
        if stats is None and recipe.frontend.cmvn == "global":
            stats = recipe.global_cmvn
        self.frontend = WaveformFrontend(
            asdict(recipe.features), asdict(recipe.frontend), stats, name="frontend"
        )
        if recipe.input_dim != network["input_dim"]:
            raise ConfigError(
                f"the front end makes {recipe.input_dim} values a frame, the network takes "
                f"{network['input_dim']}; train it again"
            )
        self.network = AcousticModel.from_config({**network, "name": "network"})
        self._config = {"network": network, "stats": stats}
        self.built = True

    @classmethod
    def around(
        cls,
        network: AcousticModel,
        *,
        stats: Sequence[Sequence[float]] | None = None,
    ) -> "WaveformModel":
        """Puts the front end of its recipe before a trained network; the weights are copied."""
        model = cls(network.get_config(), stats, name="waveform_model")
        model.network.set_weights(network.get_weights())
        return model

    def call(self, waveform: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Log-posteriors [B, T, V] float32 of waveforms [B, S] float32."""
        frames = self.frontend(waveform)
        outputs = self.network(prolonged(frames, self.delay), training=training)
        return outputs[:, self.delay :]

    def get_config(self) -> dict[str, Any]:
        """Plain values from which `from_config` makes the model again."""
        return {**super().get_config(), **self._config}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "WaveformModel":
        """Makes the model from `get_config`'s values."""
        return cls(**config)
