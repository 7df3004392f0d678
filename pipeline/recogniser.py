"""A recogniser in three lines: load it, call it on a file or an array, get phones with times."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from features.audio import mono_samples, read_audio, resample
from features.errors import AudioError, ConfigError, DataError
from features.noise import without_noise
from features.sounds import check_rate
from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.grammar import parse_grammar, read_grammar
from pipeline.decoding.outputs import OutputLayer
from pipeline.decoding.settings import DecodeSettings, chosen_settings
from pipeline.nnet.artefact import (
    GRAMMAR,
    SETTINGS,
    Description,
    OnnxModel,
    Runtime,
    TfliteModel,
    parse_description,
    read_companions,
)

EXPORTED = ("model.tflite", "model.onnx", "model.keras", "saved_model")


@contextlib.contextmanager
def _loading_tensorflow() -> Iterator[None]:
    """TensorFlow is as quiet as in the commands, unless the program asked for its words."""
    if "tensorflow" in sys.modules:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_noise():
        yield


@dataclass(frozen=True)
class Search:
    """How posteriors become phones.

    Attributes:
        decoder: the phones, their n-gram and priors.
        settings: its weights.
    """

    decoder: Decoder
    settings: DecodeSettings

    @classmethod
    def of(
        cls,
        description: Description,
        arpa: Path | None,
        settings: Path | None,
        *,
        carried: Mapping[str, str] | None = None,
        source: str = "",
    ) -> "Search":
        """The search for a model's posteriors.

        Args:
            description: of the model.
            arpa: phone n-gram, or None for no model of sequences.
            settings: a `settings.yaml` of `keraldi decode`, or None for the defaults.
            carried: the companion files of the model, taken where no others are given.
            source: the model, named in messages.

        Raises:
            DataError: model and grammar have different phones.
            ConfigError: a setting is wrong or missing, or wants an n-gram that is not given.
        """
        layer = OutputLayer.of(description.recipe)
        own = carried or {}
        if arpa is None and GRAMMAR in own:
            place = f"{source}:{GRAMMAR}"
            grammar = parse_grammar(own[GRAMMAR], layer.table, source=place)
        else:
            grammar = read_grammar(arpa, layer.table)
        chosen = chosen_settings(
            settings,
            own.get(SETTINGS),
            source=f"{source}:{SETTINGS}",
            grammar=arpa is not None or GRAMMAR in own,
        )
        return cls(Decoder(layer, grammar), chosen)


def _open(path: Path, cmvn: Path | None) -> tuple[Runtime, dict[str, str]]:
    """A model and its companion files, by the kind of file or folder it is in."""
    if path.name == "final.keras":  # what lies beside it is wanted as well
        path = path.parent
    if (path / "final.keras").exists():
        with _loading_tensorflow():
            from pipeline.nnet.runtime import ModelDir

        return ModelDir(path, cmvn=cmvn), {}
    if path.is_dir() and not (path / "saved_model.pb").exists():
        inside = [path / name for name in EXPORTED if (path / name).exists()]
        if not inside:
            raise DataError(
                f"{path}: no final.keras and no exported model; run keraldi train, or give "
                "the folder that keraldi export made"
            )
        path = inside[0]
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give a model dir")
    if cmvn is not None:
        raise ConfigError(
            f"{path}: its CMVN was fixed when it was exported; leave out the statistics, or "
            "export again with --cmvn"
        )
    if path.suffix == ".onnx":
        onnx = OnnxModel(path)
        return onnx, onnx.companions
    companions = read_companions(path)
    description = parse_description(companions, str(path))
    if path.suffix == ".tflite":
        return TfliteModel(path, description), companions
    with _loading_tensorflow():
        from pipeline.nnet.runtime import ExportedKeras

    return ExportedKeras(path, description), companions


class Recogniser:
    """Audio to phones with times and confidences.

    Where training normalised by speaker, a single recording has to do: statistics are taken
    over it, unless others are given.

    Args:
        runtime: the model.
        search: how its posteriors become phones.
    """

    def __init__(self, runtime: Runtime, search: Search) -> None:
        self.runtime = runtime
        self.search = search
        self.rate_hz = runtime.description.recipe.features.rate_hz

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str],
        *,
        arpa: str | os.PathLike[str] | None = None,
        settings: str | os.PathLike[str] | None = None,
        cmvn: str | os.PathLike[str] | None = None,
    ) -> "Recogniser":
        """Loads a model dir, or what `keraldi export` made of one.

        Args:
            model: model dir, or `final.keras` in it; `.tflite`, `.onnx` or `.keras` file;
                SavedModel; or the folder of exported models, whose TFLite is taken first.
                TFLite and ONNX do not load TensorFlow.
            arpa: phone n-gram; the one in the exported model, or none, when absent.
            settings: `settings.yaml` of a decode dir; those in the exported model, or the
                defaults, when absent.
            cmvn: `cmvn.scp` whose statistics are used for all audio; a model dir only.

        Raises:
            DataError: the model or another file is missing or damaged.
            ConfigError: the choices exclude each other.
        """
        runtime, companions = _open(Path(model), None if cmvn is None else Path(cmvn))
        search = Search.of(
            runtime.description,
            None if arpa is None else Path(arpa),
            None if settings is None else Path(settings),
            carried=companions,
            source=str(model),
        )
        return cls(runtime, search)

    @property
    def phones(self) -> tuple[str, ...]:
        """The symbols it knows."""
        return self.search.decoder.phones.symbols

    def samples(
        self, audio: str | os.PathLike[str] | np.ndarray, rate_hz: int | None
    ) -> np.ndarray:
        """Mono samples [S] float32 at the model's rate, S at least one frame.

        Raises:
            AudioError: a file or array is no usable audio.
            ConfigError: an array without its rate, or a rate with a file.
        """
        if isinstance(audio, np.ndarray):
            number = isinstance(rate_hz, Real) and not isinstance(rate_hz, bool)
            if rate_hz is None or not (number and 0 < rate_hz < math.inf):
                raise ConfigError(
                    f"an array of samples needs its rate, got {rate_hz!r}; give rate_hz, a "
                    "number of samples a second"
                )
            check_rate(rate_hz, "array")
            found = resample(mono_samples(audio), rate_hz, self.rate_hz)
        elif not isinstance(audio, str | os.PathLike):
            raise ConfigError(
                f"audio: expected a path or a numpy array, got {type(audio).__name__}; "
                "numpy.asarray makes an array of it"
            )
        elif rate_hz is not None:
            raise ConfigError(f"{audio}: a file knows its rate; leave out rate_hz")
        elif str(audio).endswith("|"):
            raise AudioError(
                f"{str(audio)!r} is a command; give a file, or the samples it prints"
            )
        else:
            found = read_audio(audio, rate_hz=self.rate_hz)[0]
        found = np.ascontiguousarray(found, np.float32)
        self.runtime.description.check_length(found)
        return found

    def log_posteriors(
        self, audio: str | os.PathLike[str] | np.ndarray, rate_hz: int | None = None
    ) -> np.ndarray:
        """Log-posteriors [T, V] float32 of audio; arguments as of a call."""
        return self.runtime.log_posteriors(self.samples(audio, rate_hz))

    def __call__(
        self, audio: str | os.PathLike[str] | np.ndarray, rate_hz: int | None = None
    ) -> list[PhoneInterval]:
        """The phones of a recording: symbol, start and end in seconds, confidence from 0 to 1.

        Args:
            audio: a file of any format and rate; or samples [S] or [S, C], floats in [-1, 1]
                or integers.
            rate_hz: sampling rate of an array.

        Raises:
            AudioError: a file or array is no usable audio.
            ConfigError: an array without its rate, or a rate with a file.
        """
        samples = self.samples(audio, rate_hz)
        outputs = self.runtime.log_posteriors(samples)
        decoder = self.search.decoder
        decoder.outputs.check(
            str(audio) if not isinstance(audio, np.ndarray) else "array", outputs
        )
        tokens = decoder.decode(outputs, self.search.settings)
        duration = len(samples) / self.rate_hz
        return decoder.intervals(tokens, outputs, duration)
