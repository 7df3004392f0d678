"""A model dir's network, if it hears no future, over frames as they come in."""

import numpy as np
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.chunks import CHUNK, ChunkStream
from pipeline.nnet.network import is_unidirectional
from pipeline.nnet.recogniser import SIXTEEN, Recogniser


class NetworkStream(ChunkStream):
    """Log-posteriors of frames that come in pieces; equal to those of `Recogniser.batch`.

    Equal to the last bit: the frames are one of sixteen rows, the others empty, for a product
    of one column goes through other machine code.

    Args:
        recogniser: the model.

    Raises:
        ConfigError: a layer of it is bidirectional.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        model = recogniser.model
        if not is_unidirectional(model):
            raise ConfigError(
                "a bidirectional model hears an utterance from its end too, so it cannot speak "
                "before the end; train a unidirectional one (label_delay lets it hear some of "
                "the future), or leave out --stream"
            )
        states = [
            (
                [tf.zeros((SIXTEEN, size)) for size in block.layer.cell.state_size]
                if block.is_recurrent
                else []
            )
            for block in model.blocks
        ]
        mask = np.zeros((SIXTEEN, CHUNK), bool)
        mask[0] = True

        def step(frames: np.ndarray) -> np.ndarray:
            nonlocal states
            rows = np.zeros((SIXTEEN, *frames.shape), np.float32)
            rows[0] = frames
            outputs, states = recogniser.step(
                tf.constant(rows), tf.constant(mask), states
            )
            found: np.ndarray = outputs[0].numpy()
            return found

        super().__init__(
            step,
            dim=model.input_dim,
            width=model.output_layer.units,
            delay=recogniser.recipe.label_delay,
        )
