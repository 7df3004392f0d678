"""A network that hears no future, over frames as they come in."""

import numpy as np
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recogniser import SIXTEEN, Recogniser
from pipeline.nnet.runtime import is_unidirectional

CHUNK = 8  # network frames run at once; fewer come sooner and cost more


class NetworkStream:
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
        self.delay = recogniser.recipe.label_delay
        self._model = model
        self._late = self.delay  # outputs that speak of no frame yet
        self._frames = np.zeros((0, model.input_dim), np.float32)
        self._last = self._frames
        self._states = [
            (
                [tf.zeros((SIXTEEN, size)) for size in block.layer.cell.state_size]
                if block.is_recurrent
                else []
            )
            for block in model.blocks
        ]
        self._run = recogniser.step

    def _step(self, frames: np.ndarray) -> np.ndarray:
        """Runs [T, F] frames, T <= CHUNK."""
        count = len(frames)
        rows = np.zeros((SIXTEEN, CHUNK, self._model.input_dim), np.float32)
        mask = np.zeros((SIXTEEN, CHUNK), bool)
        rows[0, :count], mask[0, :count] = frames, True
        outputs, self._states = self._run(
            tf.constant(rows), tf.constant(mask), self._states
        )
        found = outputs[0, :count].numpy()
        dropped = min(self._late, count)
        self._late -= dropped
        return found[dropped:]

    def hear(self, frames: np.ndarray) -> np.ndarray:
        """The log-posteriors [T', S], T' >= 0, that are known with frames [T, F]."""
        if len(frames):
            self._last = frames[-1:]
        held = np.concatenate([self._frames, frames])
        whole = len(held) // CHUNK * CHUNK
        self._frames = held[whole:]
        steps = [self._step(held[i : i + CHUNK]) for i in range(0, whole, CHUNK)]
        return np.concatenate([self._nothing(), *steps])

    def finish(self) -> np.ndarray:
        """The log-posteriors that are still to come at the end."""
        late = self.hear(np.repeat(self._last, self.delay, axis=0))
        if not len(self._frames):
            return late
        return np.concatenate([late, self._step(self._frames)])

    def _nothing(self) -> np.ndarray:
        return np.zeros((0, self._model.output_layer.units), np.float32)
