"""Exported models over recordings: windows of samples in, the front end being in the model."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.errors import DataError, counted
from features.kaldi import ENERGY_FLOOR
from features.normalize import CmvnStats
from features.pieces import read_pieces
from features.spectral import FeatureOptions
from pipeline.batch.items import Item
from pipeline.batch.pauses import Pauses
from pipeline.batch.windows import CONTEXT_S, LONGEST_S, PAUSE_S, Window, check_again
from pipeline.datadir.phones import PhoneTable
from pipeline.nnet.artefact import TfliteModel, parse_description, read_companions


def is_exported(model: str) -> bool:
    """Whether a model is a TFLite file that `keraldi export` made."""
    return model.endswith(".tflite")


class ExportedNetwork:
    """A TFLite model in place of a model dir's network; does not load TensorFlow.

    Args:
        path: the `.tflite` file.

    Raises:
        DataError: it is damaged, or no model of Keraldi's.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._description = parse_description(read_companions(self._path), path)
        self.recipe = self._description.recipe
        self.phones = PhoneTable(tuple(self.recipe.phones))
        self.log_priors = np.array(self.recipe.log_priors, np.float32)
        self.objective, self.states_per_phone = (
            self.recipe.objective,
            self.recipe.states,
        )
        self._local = threading.local()
        self._model()

    def _model(self) -> TfliteModel:
        """The interpreter of this thread: one cannot be used by two."""
        if not hasattr(self._local, "model"):
            self._local.model = TfliteModel(self._path, self._description)
        model: TfliteModel = self._local.model
        return model

    def prepare(self) -> None:
        """Makes this thread's interpreter; others make their own when they need one."""
        self._model()

    def batch(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The log-posteriors [T, S] float32 of samples [N] float32 each."""
        return [self._model().log_posteriors(row) for row in rows]


@dataclass(frozen=True)
class WaveformListener:
    """What an exported model wants to hear: as `Listener`, but samples.

    Where CMVN is taken over the utterance, it is taken over each window.

    Attributes:
        features: of its recipe.
        skip: features from one network frame to the next.
        allow_pipes: whether commands may be run.
    """

    features: FeatureOptions
    skip: int
    allow_pipes: bool = False

    @property
    def _unit(self) -> int:
        """Samples from one network frame to the next."""
        return self.features.frame_shift * self.skip

    def _network_frames(self, seconds: float) -> int:
        return max(1, round(seconds * self.features.rate_hz / self._unit))

    def _count(self, samples: int) -> int:
        """Network frames of so many samples."""
        return -(-self.features.num_frames(samples) // self.skip)

    def _pieces(self, item: Item) -> Iterator[np.ndarray]:
        return read_pieces(
            item.source,
            item.part,
            rate_hz=self.features.rate_hz,
            allow_pipes=self.allow_pipes,
        )

    def windows(
        self, item: Item, _speaker: CmvnStats | None = None
    ) -> Iterator[Window]:
        """Yields the windows of a recording in order; memory does not grow with its length.

        Raises:
            DataError: the audio is bad.
        """
        longest = self._network_frames(LONGEST_S)
        held: list[np.ndarray] = []
        pauses = Pauses(longest=longest, width=self._network_frames(PAUSE_S))
        rest, energies = np.zeros((2, 0), np.float32)
        samples = 0
        for piece in self._pieces(item):
            samples += len(piece)
            if self._count(samples) <= longest:
                held.append(piece)
            rest = np.concatenate([rest, piece])
            whole = len(rest) // self._unit * self._unit
            blocks = rest[:whole].reshape(-1, self._unit)
            power = np.square(blocks).mean(axis=1)
            energies = np.append(energies, np.log(np.maximum(power, ENERGY_FLOOR)))
            rest = rest[whole:]
            sure = self._count(samples) - pauses.frames  # at the end there are fewer
            pauses.hear(energies[:sure])
            energies = energies[sure:]
        total, seconds = self._count(samples), samples / self.features.rate_hz
        if not total:
            raise DataError(
                f"{counted(samples, 'sample')}, less than one frame of "
                f"{self.features.frame_length}; "
                "remove it from the list"
            )
        if total <= longest:
            yield Window(np.concatenate(held), 0, total, 0, total, seconds)
            return
        held.clear()
        yield from self._cut(self._pieces(item), pauses.finish(total), samples)

    def _cut(
        self, pieces: Iterator[np.ndarray], cuts: list[int], total: int
    ) -> Iterator[Window]:
        """Windows between cuts, with context, of `total` samples that come in pieces."""
        context, unit = self._network_frames(CONTEXT_S), self._unit
        seconds = total / self.features.rate_hz
        overlap = self.features.frame_length - self.features.frame_shift
        buffer = next(pieces)
        offset = 0  # sample that `buffer` begins with
        for first, end in zip(cuts, cuts[1:], strict=False):
            begin = max(0, first - context)
            until = min(cuts[-1], end + context)
            last = until * unit + overlap
            while offset + len(buffer) < last:
                piece = next(pieces, None)
                if piece is None:
                    check_again(offset + len(buffer), before=total)
                    break  # the last network frame may hold fewer features
                buffer = np.concatenate([buffer[begin * unit - offset :], piece])
                offset = begin * unit
            samples = buffer[begin * unit - offset : last - offset]
            yield Window(samples, first, end - first, first - begin, cuts[-1], seconds)
