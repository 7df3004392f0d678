"""Models at work with TensorFlow: a model dir, or an exported `.keras` or SavedModel."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from features.errors import ConfigError, DataError, first_line
from features.frontend import transform
from features.spectral import compute_features
from pipeline.nnet.artefact import Description, read_stats
from pipeline.nnet.chunks import ChunkStream
from pipeline.nnet.network import AcousticModel, is_unidirectional
from pipeline.nnet.recipe import DAMAGES, Recipe, check_archive
from pipeline.nnet.recogniser import load_recogniser
from pipeline.nnet.stream import NetworkStream
from pipeline.nnet.waveform import WaveformModel

Stats = list[list[float]] | None


def describe(network: AcousticModel, recipe: Recipe, stats: Stats) -> Description:
    """A network as it is described beside its exported forms.

    Args:
        network: the network.
        recipe: of its training.
        stats: CMVN statistics [2, F + 1] in place of those of speaker or utterance, or None.

    Raises:
        ConfigError: statistics are given but the model uses none.
    """
    kind = recipe.frontend.cmvn
    if stats is not None and kind == "none":
        raise ConfigError(
            "CMVN statistics given to a model trained without CMVN; leave them out"
        )
    if stats is None and kind == "global":
        stats = recipe.global_cmvn
    return Description(recipe=recipe, stats=stats, streams=is_unidirectional(network))


class ModelDir:
    """A trained model behind the front end of `features`.

    Args:
        path: model dir with `final.keras`.
        cmvn: `cmvn.scp` whose statistics are taken in place of those of speaker or utterance,
            or None.

    Raises:
        DataError: the model is missing or damaged, or the statistics are of other features.
    """

    def __init__(self, path: str | Path, *, cmvn: str | Path | None = None) -> None:
        self.recogniser = load_recogniser(path)
        self.network, recipe = self.recogniser.model, self.recogniser.recipe
        stats = None if cmvn is None else read_stats(cmvn, recipe, model=path)
        self.description = describe(self.network, recipe, stats)
        self.source = str(Path(path) / "final.keras")

    def log_posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Samples [S] float32 at the recipe's rate to [T, V] float32."""
        recipe = self.description.recipe
        frames = compute_features(samples, recipe.features)
        stats = self.description.utterance_stats(frames)
        inputs = transform(frames, stats, recipe.frontend)
        return next(self.recogniser.log_posteriors([("", inputs)]))[1]

    def stream(self) -> ChunkStream:
        """The network over frames as they come in; ConfigError where it hears the future."""
        return NetworkStream(self.recogniser)


class ExportedKeras:
    """An exported `.keras` file or SavedModel.

    Args:
        path: the file or folder.
        description: what its companion files say.

    Raises:
        DataError: it is damaged.
    """

    def __init__(self, path: Path, description: Description) -> None:
        self.description, self.source = description, str(path)
        try:
            if path.is_dir():
                # Held, for its signatures do not hold the variables.
                self._model = tf.saved_model.load(str(path))
                serve = self._model.signatures["serving_default"]
                self._run = lambda waveform: serve(waveform=waveform)["log_posteriors"]
            else:
                check_archive(path)
                self._model = keras.saving.load_model(
                    path, compile=False, safe_mode=True
                )
                self._run = tf.function(self._model, reduce_retracing=True)
        except (*DAMAGES, OSError, tf.errors.OpError) as error:
            raise DataError(
                f"{path}: damaged ({first_line(error)}); export it again"
            ) from None
        if not path.is_dir() and not isinstance(self._model, WaveformModel):
            raise DataError(
                f"{path}: holds a {type(self._model).__name__}; export it again"
            )

    def log_posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Samples [S] float32 at the recipe's rate to [T, V] float32."""
        self.description.check_length(samples)
        waveform = tf.constant(np.asarray(samples, np.float32)[None])
        return self._run(waveform)[0].numpy()

    def stream(self) -> ChunkStream:
        """Offered by the model dir and by TFLite."""
        raise ConfigError(
            f"{self.source}: does not stream; use the model dir or model.tflite"
        )
