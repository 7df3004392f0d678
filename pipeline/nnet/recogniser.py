"""A finished model at work: features of a data dir in, log-posteriors out."""

import functools
import itertools
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from features.errors import DataError, first_line
from features.frontend import FrontendOptions
from features.normalize import CmvnStats
from features.spectral import FeatureOptions
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.phones import PhoneTable
from pipeline.nnet.examples import FeatureSource
from pipeline.nnet.network import AcousticModel
from pipeline.nnet.recipe import (
    DAMAGES,
    ROWS,
    Recipe,
    check_archive,
    feature_faults,
)

# A product's last columns may go through other machine code than the rest and differ in the
# last bit. With sixteen utterances, or a multiple, to a loop and frames in sixteens none is ever
# such a last one: what the network says of an utterance does not depend on its neighbours
# in a batch. (In twelves they do: of 24 columns the last eight are multiplied otherwise.)
SIXTEEN = 16
_WINDOW = 16 * ROWS  # utterances sorted by length among each other


class Recogniser:
    """A network and its recipe.

    Args:
        model: the network.
        recipe: phones, features, front end, priors.
        source: the file it came from, named in messages.
    """

    def __init__(self, model: AcousticModel, recipe: Recipe, *, source: str) -> None:
        self.model = model
        self.recipe = recipe
        self._source = source
        self.phones = PhoneTable(tuple(recipe.phones))
        self.log_priors = np.array(recipe.log_priors, np.float32)
        self._preparing, self._ready = threading.Lock(), False
        self._loops = max((block.loops for block in model.blocks), default=1)
        self._run = tf.function(
            lambda frames, mask: model(frames, mask=mask, training=False),
            input_signature=[
                tf.TensorSpec([None, None, model.input_dim], tf.float32),
                tf.TensorSpec([None, None], tf.bool),
            ],
            autograph=False,
        )

    def prepare(self) -> None:
        """Draws the graph and has TensorFlow optimise it, unless that was done.

        Threads whose first batches came at the same time would each have it optimised.
        """
        with self._preparing:
            if not self._ready:
                self.batch([np.zeros((1, self.model.input_dim), np.float32)])
                self._ready = True

    @functools.cached_property
    def step(self) -> Any:
        """The network from given states, see `AcousticModel.run`, drawn as a graph once."""
        return tf.function(self.model.run, autograph=False)

    @property
    def features(self) -> FeatureOptions:
        """How features must be made."""
        return self.recipe.features

    @property
    def frontend(self) -> FrontendOptions:
        """What is done to features before the network."""
        return self.recipe.frontend

    @property
    def objective(self) -> str:
        """`framewise` or `ctc`."""
        return self.recipe.objective

    @property
    def states_per_phone(self) -> int:
        """HMM states of each phone."""
        return self.recipe.states

    @property
    def frame_shift(self) -> float:
        """Seconds from one row of posteriors to the next."""
        return self.features.frame_shift_ms * self.frontend.skip / 1000.0

    def check_data(self, path: str | Path, phones: PhoneTable | None = None) -> None:
        """Checks that a data dir's features, and a phone table, are those of training.

        Raises:
            DataError: names each setting or phone that differs.
        """
        settings = Path(path) / "features.yaml"
        if not settings.exists():
            raise DataError(f"{settings}: no such file; run keraldi extract {path}")
        faults = feature_faults(settings, self.features, model=self._source)
        if phones is not None and phones.symbols != self.phones.symbols:
            faults.append(self._phone_fault(phones))
        if faults:
            raise DataError.of(faults)

    def _phone_fault(self, phones: PhoneTable) -> str:
        new = sorted(set(phones.symbols) - set(self.phones.symbols))
        gone = sorted(set(self.phones.symbols) - set(phones.symbols))
        what = f"new: {' '.join(new) or 'none'}; absent: {' '.join(gone) or 'none'}"
        if not new and not gone:
            what = "the same symbols in another order"
        return f"phone table differs from that of {self._source}: {what}; give its own lang dir"

    def inputs(self, data: DataDir) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each utterance's network input [T, F] float32."""
        stats = self.recipe.global_cmvn
        source = FeatureSource(
            data,
            self.frontend,
            global_stats=None if stats is None else CmvnStats(np.array(stats)),
        )
        return ((utt, source.load(utt)) for utt in data.utterances)

    def batch(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs the network over some utterances at once.

        Args:
            rows: at most `ROWS` network inputs [T, F] float32, T >= 1; of like length, or
                padding wastes work.

        Returns:
            The log-posteriors [T, S] float32 of each, equal in every bit to those that it
            has in any other company.
        """
        delay = self.recipe.label_delay
        longest = max(map(len, rows)) + delay
        length = -(-longest // SIXTEEN) * SIXTEEN
        step = SIXTEEN * self._loops
        count = -(-len(rows) // step) * step
        frames = np.zeros((count, length, self.model.input_dim), np.float32)
        mask = np.zeros((count, length), bool)
        for number, row in enumerate(rows):
            end = len(row) + delay
            frames[number, : len(row)] = row
            frames[number, len(row) : end] = row[-1]
            mask[number, :end] = True
        outputs = self._run(frames, mask).numpy()
        pairs = zip(rows, outputs, strict=False)
        return [output[delay : delay + len(row)] for row, output in pairs]

    def log_posteriors(
        self, utterances: Iterable[tuple[str, np.ndarray]]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Runs the network over utterances, several at a time, in a flat amount of memory.

        Args:
            utterances: names and network inputs [T, F] float32, T >= 1.

        Yields:
            Each name, in the given order, and its log-posteriors [T, S] float32 (with CTC
            [T, V + 1], the blank last).
        """
        stream = iter(utterances)
        while window := list(itertools.islice(stream, _WINDOW)):
            order = sorted(range(len(window)), key=lambda i: len(window[i][1]))
            done: dict[int, np.ndarray] = {}
            for start in range(0, len(order), ROWS):
                chosen = order[start : start + ROWS]
                outputs = self.batch([window[i][1] for i in chosen])
                done.update(zip(chosen, outputs, strict=True))
            for index, (utt, _) in enumerate(window):
                yield utt, done[index]


def load_recogniser(model_dir: str | Path) -> Recogniser:
    """Loads `final.keras` of a model dir with all it needs, without unsafe loading.

    Raises:
        DataError: the file is missing, damaged or not one of Keraldi's.
    """
    path = Path(model_dir) / "final.keras"
    if not path.exists():
        raise DataError(
            f"{path}: no such file; run keraldi train --out {model_dir} to its end"
        )
    try:
        check_archive(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (*DAMAGES, OSError) as error:
        # Keras says "File not found" of a file that is no archive.
        reason = first_line(error) if zipfile.is_zipfile(path) else "no Keras archive"
        raise DataError(
            f"{path}: cannot be loaded ({reason}); train it again"
        ) from None
    if not isinstance(model, AcousticModel):
        raise DataError(
            f"{path}: holds a {type(model).__name__}, not an acoustic model of Keraldi"
        )
    recipe = Recipe.from_values(model.recipe, source=str(path))
    promised, made = (recipe.input_dim, recipe.num_outputs), (
        model.input_dim,
        model.output_layer.units,
    )
    if promised != made:
        raise DataError(
            f"{path}: its recipe is of {promised[0]} inputs and {promised[1]} outputs, its "
            f"network has {made[0]} and {made[1]}; train it again"
        )
    return Recogniser(model, recipe, source=str(path))
