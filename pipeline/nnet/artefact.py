"""Exported models at work without TensorFlow: what they carry, TFLite and ONNX.

Nothing here imports TensorFlow: a TFLite model answers long before TensorFlow is loaded.
"""

import json
import threading
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from features.archive import ArchiveReader
from features.errors import ConfigError, DataError, counted, first_line
from features.noise import without_noise
from features.normalize import CmvnStats
from pipeline.config import check
from pipeline.nnet.chunks import ChunkStream
from pipeline.nnet.recipe import DAMAGES, LARGEST_TEXT, Recipe, check_stats

DESCRIPTION, GRAMMAR, SETTINGS = "keraldi.json", "lm.arpa", "settings.yaml"
CHECKSUM = (
    "crc32"  # of what is in front of these files: TFLite runs with damaged weights
)
_LARGEST_GRAMMAR = 1 << 26  # bytes: more is no phone n-gram


@dataclass(frozen=True, kw_only=True)
class Description:
    """What an exported model says of itself.

    Attributes:
        recipe: of the training.
        stats: CMVN statistics [2, F + 1] used for every utterance; None where they are taken
            over each utterance, or CMVN is none.
        streams: whether the network hears no future and can be fed as audio comes in.
    """

    __pydantic_config__ = {"extra": "forbid"}

    recipe: Recipe
    stats: list[list[float]] | None
    streams: bool

    @property
    def cmvn(self) -> str:
        """Over what mean and variance are taken: `none`, `given` or `utterance`."""
        if self.recipe.frontend.cmvn == "none":
            return "none"
        return "utterance" if self.stats is None else "given"

    def utterance_stats(self, frames: np.ndarray) -> CmvnStats | None:
        """The statistics for an utterance's features [T, F]."""
        if self.cmvn == "none":
            return None
        if self.stats is None:
            return CmvnStats.from_frames(frames)
        return CmvnStats(np.array(self.stats))

    def check_length(self, samples: np.ndarray) -> None:
        """DataError when samples [S] are less than one frame."""
        length = self.recipe.features.frame_length
        if len(samples) < length:
            raise DataError(
                f"{counted(len(samples), 'sample')}, less than one frame of {length}; remove the "
                "utterance"
            )

    def to_json(self) -> str:
        """As it stands in `keraldi.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"


class Runtime(Protocol):
    """A model that hears waveforms.

    Attributes:
        description: what it is.
        source: its file, named in messages.
    """

    description: Description
    source: str

    def log_posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Samples [S] float32 at the recipe's rate to [T, V] float32."""

    def stream(self) -> ChunkStream:
        """The network over frames as they come in; ConfigError where it hears the future."""


def checksum(content: bytes) -> str:
    """Size and CRC-32 of a model, as `CHECKSUM` holds them."""
    return f"{len(content)} {zlib.crc32(content):08x}"


def _check_size(path: Path, name: str, size: int) -> None:
    """DataError where a companion file has more bytes than any of Keraldi's."""
    if size > (_LARGEST_GRAMMAR if name == GRAMMAR else LARGEST_TEXT):
        raise DataError(
            f"{path}: {name} in it is too large ({size} bytes); export it again"
        )


def _archived(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        found = {}
        names = {DESCRIPTION, GRAMMAR, SETTINGS, CHECKSUM}
        for name in names & set(archive.namelist()):
            _check_size(path, name, archive.getinfo(name).file_size)
            found[name] = archive.read(name).decode("utf-8")
    if promised := found.pop(CHECKSUM, ""):
        with open(path, "rb") as file:
            content = file.read(int(promised.partition(" ")[0]))
        if checksum(content) != promised:
            raise DataError(
                f"{path}: damaged (its checksum is another); export it again"
            )
    return found


def read_companions(path: Path) -> dict[str, str]:
    """The companion files of an exported model by name.

    Args:
        path: a `.keras` or `.tflite` file, or a SavedModel's folder.

    Raises:
        DataError: it carries no description, or is damaged.
    """
    found: dict[str, str] = {}
    if path.is_dir():
        extra = path / "assets.extra"
        files = list(extra.iterdir()) if extra.is_dir() else []
        for file in files:
            _check_size(path, file.name, file.stat().st_size)
        found = {file.name: file.read_text(encoding="utf-8") for file in files}
    elif zipfile.is_zipfile(path):
        try:
            found = _archived(path)
        except DAMAGES as error:
            raise DataError(f"{path}: damaged ({error}); export it again") from None
    if DESCRIPTION not in found:
        raise DataError(
            f"{path}: not a model that keraldi export made: no {DESCRIPTION} in it; give a "
            "model dir or an exported model"
        )
    return found


def parse_description(companions: dict[str, str], source: str) -> Description:
    """Checks what `keraldi.json` says."""
    try:
        values = json.loads(companions[DESCRIPTION])
    except (json.JSONDecodeError, RecursionError):
        raise DataError(
            f"{source}: {DESCRIPTION} in it is damaged; export it again"
        ) from None
    return check(values, Description, source=source)


class TfliteModel:
    """A TFLite model, run by LiteRT; threads that call it wait for each other.

    Args:
        path: the `.tflite` file.
        description: what its companion files say.

    Raises:
        ConfigError: LiteRT is not installed.
        DataError: the file is damaged.
    """

    def __init__(self, path: Path, description: Description) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError:
            raise ConfigError(
                f"{path}: TFLite needs LiteRT: pip install 'keraldi[lite]'"
            ) from None
        self.description, self.source = description, str(path)
        # An interpreter's memory bears one caller at a time.
        self._lock = threading.Lock()
        try:
            # One thread: the products of one utterance are too small to share out.
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._whole = self._interpreter.get_signature_runner("waveform")
            self._step = (
                self._interpreter.get_signature_runner("step")
                if description.streams
                else None
            )
        except (ValueError, RuntimeError) as error:
            raise self._damaged(error) from None
        # What is damaged inside shows when it is run.
        recipe = description.recipe
        with without_noise():
            heard = self.log_posteriors(np.zeros(recipe.features.frame_length))
        if heard.shape != (1, recipe.num_outputs):
            raise self._damaged(
                ValueError(f"{heard.shape[-1]} outputs, not {recipe.num_outputs}")
            )

    def _damaged(self, error: Exception) -> DataError:
        reason = first_line(error)
        return DataError(f"{self.source}: damaged ({reason}); export it again")

    def log_posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Samples [S] float32 at the recipe's rate to [T, V] float32."""
        self.description.check_length(samples)
        waveform = np.ascontiguousarray(samples, np.float32)[None]
        try:
            with self._lock:
                return np.array(self._whole(waveform=waveform)["log_posteriors"][0])
        except (ValueError, RuntimeError) as error:
            raise self._damaged(error) from None

    def stream(self) -> ChunkStream:
        """The network over frames as they come in; ConfigError where it hears the future."""
        runner = self._step
        if runner is None:
            raise ConfigError(
                f"{self.source}: cannot run in steps: it hears the future; give a unidirectional "
                "model, or leave out --stream"
            )
        states = {
            name: np.zeros(detail["shape"], np.float32)
            for name, detail in runner.get_input_details().items()
            if name != "frames"
        }

        def step(frames: np.ndarray) -> np.ndarray:
            nonlocal states
            with self._lock:
                outputs = runner(frames=frames[None], **states)
                # The interpreter's own memory is written over by the next step.
                states = {name: np.array(outputs[name]) for name in states}
                return np.array(outputs["log_posteriors"][0])

        recipe = self.description.recipe
        return ChunkStream(
            step,
            dim=recipe.input_dim,
            width=recipe.num_outputs,
            delay=recipe.label_delay,
        )


class OnnxModel:
    """An ONNX model, run by ONNX Runtime.

    Args:
        path: the `.onnx` file.

    Attributes:
        companions: the files it carries, by name.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        DataError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise ConfigError(
                f"{path}: ONNX needs ONNX Runtime: pip install onnxruntime"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options)
            properties = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # its own classes, which share no base
            raise DataError(
                f"{path}: damaged ({first_line(error)}); export it again"
            ) from None
        if DESCRIPTION not in properties:
            raise DataError(
                f"{path}: not a model that keraldi export made; give one that it made"
            )
        self.companions: dict[str, str] = dict(properties)
        self.description = parse_description(self.companions, str(path))
        self.source = str(path)

    def log_posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Samples [S] float32 at the recipe's rate to [T, V] float32."""
        self.description.check_length(samples)
        waveform = np.ascontiguousarray(samples, np.float32)[None]
        return np.asarray(
            self._session.run(["log_posteriors"], {"waveform": waveform})[0][0]
        )

    def stream(self) -> ChunkStream:
        """Not part of an ONNX export."""
        raise ConfigError(
            f"{self.source}: ONNX models do not stream; use the model dir or model.tflite"
        )


def read_stats(
    path: str | Path, recipe: Recipe, *, model: str | Path
) -> list[list[float]]:
    """CMVN statistics of all speakers of a `cmvn.scp`, added up.

    Args:
        path: the `cmvn.scp`.
        recipe: of the model that uses them.
        model: its name, for messages.

    Raises:
        DataError: there are none, or of other features.
    """
    check_stats(path, recipe, model=str(model))
    reader = ArchiveReader(path)
    if not len(reader):
        raise DataError(f"{path}: no statistics; run keraldi extract")
    total = np.sum([reader[speaker] for speaker in reader], axis=0)
    return [[float(value) for value in row] for row in total]
