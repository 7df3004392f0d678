"""Where decoding gets posteriors: a model at work, or a folder in which they are stored."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.archive import ArchiveReader, ArchiveWriter
from features.errors import DataError, counted, named
from pipeline.batch.crew import Crewing
from pipeline.batch.network import content_of, lost_utterance, network_share
from pipeline.batch.shares import cut_shares
from pipeline.config import load, save
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.outputs import OutputLayer
from pipeline.stage import progress

if TYPE_CHECKING:
    from pipeline.nnet.recogniser import Recogniser

Posteriors = Iterable[tuple[str, np.ndarray]]
STORED = ("posteriors.yaml", "posteriors.ark", "posteriors.scp")


@dataclass(frozen=True, kw_only=True)
class StoredLayer(OutputLayer):
    """`posteriors.yaml`: what stored posteriors mean, and whose they are.

    Attributes:
        made: the model dir that made them, or what was combined.
        decoded: the data dir.
    """

    made: str
    decoded: str


class Source(Protocol):
    """Somewhere to get the posteriors of a set; its `place` is for messages."""

    place: Path

    def inputs(self, data: Path) -> list[Path]:
        """The files whose content decides the posteriors of a data dir."""

    def open(self, data: DataDir, phones: PhoneTable) -> StoredLayer:
        """Makes ready for a set; says what its posteriors mean.

        Raises:
            DataError: features or phones are not the model's, or utterances are missing.
        """

    def posteriors(self, data: DataDir) -> Posteriors:
        """Log-posteriors [T, S] of a set's utterances in order; after `open`."""


class Model:
    """A model that runs over the features of a data dir.

    Args:
        folder: model dir.
        crewing: how many processes.
        marks: folder for their marks.
    """

    def __init__(self, folder: Path, crewing: Crewing, marks: Path) -> None:
        self._folder, self._crewing, self._marks = folder, crewing, marks
        self.place = folder
        self._recogniser: "Recogniser | None" = None

    def inputs(self, data: Path) -> list[Path]:
        """The model; features and what they are normalised with."""
        names = ("feats.scp", "cmvn.scp", "utt2spk", ".stamps/extract.json")
        return [self._folder / "final.keras", *(data / name for name in names)]

    def open(self, data: DataDir, phones: PhoneTable) -> StoredLayer:
        """Loads the model, which brings TensorFlow; another set finds it loaded.

        Raises:
            DataError: features or phones are not the model's, or utterances have no features
                (they are named).
        """
        from pipeline.nnet.recogniser import load_recogniser

        if self._recogniser is None:
            self._recogniser = load_recogniser(self._folder)
        recogniser = self._recogniser
        recogniser.check_data(data.path, phones)
        absent = sorted(set(data.utterances) - set(data.feats or {}))
        if absent:
            raise DataError(
                f"{data.path}/feats.scp: no features of {counted(len(absent), 'utterance')}: "
                f"{named(absent)}; run keraldi extract, or remove them with "
                "keraldi validate --fix"
            )
        layer = OutputLayer.of(recogniser.recipe)
        return StoredLayer(
            **vars(layer), made=str(self._folder), decoded=str(data.path)
        )

    def posteriors(self, data: DataDir) -> Posteriors:
        """Runs the network."""
        recogniser = self._recogniser
        if recogniser is None:
            raise RuntimeError("open the model first")
        if self._crewing.alone:
            return recogniser.log_posteriors(recogniser.inputs(data))
        content = content_of(str(self._folder), data)
        work = partial(network_share, str(self._folder), str(data.path), content)
        shares = cut_shares(
            data.utterances, [0] * len(data.utterances), workers=self._crewing.nj
        )
        return self._crewing.in_order(work, shares, lost_utterance, marks=self._marks)


class Store:
    """A folder of stored posteriors, as `decode --posteriors` and `combine` write it.

    Args:
        folder: with `posteriors.scp`, `posteriors.ark` and `posteriors.yaml`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = folder / "posteriors.scp"

    def inputs(self, data: Path) -> list[Path]:
        """The stored files; the set's list of utterances."""
        return [*(self._folder / name for name in STORED), data / "utt2spk"]

    def layer(self) -> StoredLayer:
        """What the posteriors mean."""
        path = self._folder / "posteriors.yaml"
        if not path.exists():
            raise DataError(
                f"{path}: no such file; run keraldi decode --posteriors again"
            )
        return load(path, StoredLayer)

    def reader(self) -> ArchiveReader:
        """The posteriors by utterance."""
        return ArchiveReader(self._folder / "posteriors.scp")

    def open(self, data: DataDir, phones: PhoneTable) -> StoredLayer:
        """Checks that the set's posteriors are all there.

        Raises:
            DataError: the phones differ, or utterances have no posteriors (they are named).
        """
        layer = self.layer()
        if layer.table != phones:
            raise DataError(
                f"{self._folder}/posteriors.yaml: other phones than the lang dir's; give the "
                "lang dir of its decoding"
            )
        reader = self.reader()
        if absent := [utt for utt in data.utterances if utt not in reader]:
            raise DataError(
                f"{self._folder}/posteriors.scp: nothing of {counted(len(absent), 'utterance')} of "
                f"{data.path}: {named(absent)}; decode that set with --posteriors"
            )
        return replace(layer, decoded=str(data.path))

    def posteriors(self, data: DataDir) -> Posteriors:
        """Reads them.

        Raises:
            DataError: an utterance has other frames than the set's features make.
        """
        reader, skip = self.reader(), self.layer().skip
        for utt in data.utterances:
            matrix = reader[utt]
            frames = (data.utt2num_frames or {}).get(utt, len(matrix) * skip)
            if len(matrix) != -(-frames // skip):  # a last frame may join fewer
                raise DataError(
                    f"{self._folder}/posteriors.scp: utterance {utt!r}: "
                    f"{counted(len(matrix), 'frame')}, "
                    f"where {frames} of features in {data.path} make {-(-frames // skip)}; "
                    "decode that set with --posteriors again"
                )
            yield utt, matrix


def find_source(folder: str, crewing: Crewing, marks: Path) -> Source:
    """The source that a folder is.

    Raises:
        DataError: it is neither a finished model nor stored posteriors.
    """
    path = Path(folder)
    if (path / "posteriors.scp").exists() and not (path / "final.keras").exists():
        return Store(path)
    if not (path / "final.keras").exists():
        raise DataError(
            f"{path}: no final.keras and no posteriors.scp; run keraldi train to its end, or "
            "keraldi decode --posteriors"
        )
    return Model(path, crewing, marks)


def checked(
    source: Source, layer: OutputLayer, data: DataDir, *, label: str
) -> Posteriors:
    """A set's posteriors, each checked against what they are said to be, with progress."""
    stream = progress(source.posteriors(data), total=len(data.utterances), label=label)
    for utt, matrix in stream:
        try:
            layer.check(utt, matrix)
        except DataError as error:
            raise DataError(f"{source.place}: {error}") from None
        yield utt, matrix


@contextlib.contextmanager
def stored(
    posteriors: Posteriors,
    folder: Path,
    layer: StoredLayer,
    *,
    outputs: bool = True,
    phones: bool = False,
) -> Iterator[Posteriors]:
    """Posteriors that are also written to a folder as they pass.

    Args:
        posteriors: of every utterance.
        folder: where to.
        layer: what they mean.
        outputs: write them as they are: `posteriors.yaml`, `.ark` and `.scp`.
        phones: write those of phones, `phone_posteriors.ark` and `.scp`.
    """
    with contextlib.ExitStack() as stack:
        writers: list[tuple[ArchiveWriter, Callable[[np.ndarray], np.ndarray]]] = []
        for wanted, name, made in (
            (outputs, "posteriors", np.asarray),
            (phones, "phone_posteriors", layer.phone_posteriors),
        ):
            if wanted:
                ark, scp = folder / f"{name}.ark", folder / f"{name}.scp"
                writers.append((stack.enter_context(ArchiveWriter(ark, scp)), made))
        if outputs:
            save(folder / "posteriors.yaml", layer)

        def passing() -> Posteriors:
            for utt, matrix in posteriors:
                for writer, made in writers:
                    writer.write(utt, made(matrix))
                yield utt, matrix

        yield passing()
