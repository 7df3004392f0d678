"""What a finished model carries beside its weights, so that it can be used alone."""

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from features.errors import ConfigError, DataError, counted
from features.frontend import FrontendOptions
from features.spectral import FeatureOptions
from pipeline.config import check, load, mappings

ROWS = 32  # utterances that a network is run over together
MOST_DELAY = 10_000  # network frames: inputs are prolonged by as many


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What inference needs to know.

    Attributes:
        phones: symbols of the phone table, in order.
        features: how the features were made.
        frontend: what is done to them before the network.
        objective: framewise or CTC; with CTC the last output is the blank.
        states: HMM states a phone.
        label_delay: network frames by which outputs come late.
        log_priors: natural log of each state's share of the training frames (empty: CTC).
        global_cmvn: statistics for `cmvn: global`, Kaldi's [2, F + 1], or None.
    """

    __pydantic_config__ = {"extra": "forbid"}

    phones: list[str]
    features: FeatureOptions
    frontend: FrontendOptions
    objective: Literal["framewise", "ctc"]
    states: Annotated[int, Field(gt=0)]
    label_delay: Annotated[int, Field(ge=0, le=MOST_DELAY)]
    log_priors: list[float]
    global_cmvn: list[list[float]] | None

    def __post_init__(self) -> None:
        for phone in self.phones:
            if phone.split() != [phone]:
                raise ConfigError(
                    f"phones: {phone!r}: expected a name without white space"
                )
        count = self.num_outputs if self.objective == "framewise" else 0
        if len(self.log_priors) != count or not all(
            map(math.isfinite, self.log_priors)
        ):
            raise ConfigError(
                f"log_priors: expected {counted(count, 'finite number')}, one of each state"
            )
        width = self.features.dim + 1
        if self.global_cmvn is not None and not (
            [len(row) for row in self.global_cmvn] == [width, width]
            and all(math.isfinite(value) for row in self.global_cmvn for value in row)
        ):
            raise ConfigError(
                f"global_cmvn: expected two rows of {width} finite numbers"
            )

    @property
    def num_outputs(self) -> int:
        """V, the outputs of the network: all states, or with CTC all phones and the blank."""
        return len(self.phones) * self.states + (self.objective == "ctc")

    @property
    def input_dim(self) -> int:
        """F, the inputs of the network."""
        return self.frontend.output_dim(self.features.dim)

    def to_values(self) -> dict[str, Any]:
        """Plain values that survive JSON."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: dict[str, Any], *, source: str) -> "Recipe":
        """Checks plain values, as a loaded model holds them; ConfigError names a wrong one."""
        return check(values, cls, source=source)


def feature_faults(
    settings: str | Path, wanted: FeatureOptions, *, model: str
) -> list[str]:
    """How the features that a `features.yaml` tells of differ from those a model hears.

    Args:
        settings: the file, as `keraldi extract` leaves it in a data dir.
        wanted: of the model.
        model: its name, for messages.
    """
    found, expected = asdict(load(settings, FeatureOptions)), asdict(wanted)
    return [
        f"{settings}: {name} is {found[name]!r} but {model} was trained with "
        f"{value!r}; extract again with the training's settings"
        for name, value in expected.items()
        if found[name] != value
    ]


def check_stats(cmvn: str | Path, recipe: Recipe, *, model: str) -> None:
    """Checks that CMVN statistics are of features such as a model hears.

    What Kaldi or others made has no `features.yaml` beside it, and cannot be asked.

    Args:
        cmvn: a `cmvn.scp`.
        recipe: of the model.
        model: its name, for messages.

    Raises:
        DataError: they are of others.
    """
    settings = Path(cmvn).parent / "features.yaml"
    if settings.exists():
        faults = feature_faults(settings, recipe.features, model=model)
        if faults:
            raise DataError.of(faults)


# Bytes of a configuration in a model's file: those of three layers have 2,500, and parsed it takes
# up to thirty times the memory.
LARGEST_TEXT = 1 << 20
_LARGEST = 1 << 26  # bytes that anything else in an archive may unpack to,
_PACKED = (
    50  # or so many times what it takes there: floats do not get smaller than that
)
_CODE = ("Lambda", "__lambda__")
_MODULES = ("keras", "pipeline")  # that layers of ours are described with
DAMAGES = (  # what readers of archives raise where one is damaged
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,  # encrypted, or packed in a way that Python does not know
)


def _size(value: Any) -> int:
    """A number of units; 0 of what is none."""
    return value if isinstance(value, int) and value > 0 else 0


def _units(layer: Mapping[str, Any]) -> int:
    return _size(layer.get("cells", layer.get("units")))


def _width(layer: Mapping[str, Any]) -> int:
    """Outputs that a layer has at least."""
    units = _units(layer)
    if layer.get("type", "dense") == "dense":
        return units
    return _size(layer.get("projection")) or -(-units // 2)


def _fewest_weights(config: Any) -> int:
    """Weights that the layers which a configuration names have at least, and their ends."""
    total = 0
    for _, part in mappings(config):
        recurrent = part.get("type", "dense") != "dense"
        total += _units(part) * (_width(part) if recurrent else 1)
        stack = part.get("layers")
        if isinstance(stack, list) and stack and isinstance(stack[0], dict):
            total += _size(part.get("input_dim")) * _units(stack[0])
        if isinstance(stack, list) and stack and isinstance(stack[-1], dict):
            total += _size(part.get("num_outputs")) * _width(stack[-1])
    return total


def _check_entry(path: str | Path, entry: zipfile.ZipInfo) -> None:
    """DataError where a file of an archive unpacks to too much, or to another folder."""
    most = max(_LARGEST, _PACKED * entry.compress_size)
    if entry.file_size > (LARGEST_TEXT if entry.filename.endswith(".json") else most):
        raise DataError(
            f"{path}: {entry.filename} in it unpacks to {entry.file_size} bytes from "
            f"{entry.compress_size}, which no model does; train it again"
        )
    if {"/", ".."} & set(Path(entry.filename).parts):
        raise DataError(
            f"{path}: {entry.filename!r} in it would unpack beside it; train it again"
        )


def _check_code(path: str | Path, config: Any) -> None:
    """DataError where a configuration names code that is not of layers."""
    for _, part in mappings(config):
        name, module = part.get("class_name"), part.get("module") or "keras"
        if name in _CODE or str(module).partition(".")[0] not in _MODULES:
            what = "a Lambda layer" if name in _CODE else f"{module}.{name}"
            raise DataError(
                f"{path}: holds {what}, unsafe code that loading would run: not loaded; use "
                "a model of Keraldi's layers"
            )


def check_archive(path: str | Path) -> Any:
    """Checks that a Keras archive holds no code, and takes no more memory than models do.

    Keras itself refuses code (`safe_mode`), in words that speak of something else.

    Returns:
        Its `config.json`.

    Raises:
        DataError: something in it unpacks to very much more than it takes in the file, or
            beside it; its layers have more weights than it holds; or it names code.
        DAMAGES: it is no archive, or no model.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            _check_entry(path, entry)
        config = json.loads(archive.read("config.json"))
        held = sum(entry.file_size for entry in archive.infolist())
    if (weights := _fewest_weights(config)) > held:
        raise DataError(
            f"{path}: its layers have {weights} weights or more, of which {held} bytes cannot "
            "hold the values; train it again"
        )
    _check_code(path, config)
    return config


def stored_network(path: str | Path) -> tuple[Recipe, list[dict[str, Any]]]:
    """What `final.keras` says of itself, read without TensorFlow: the recipe and its layers.

    Raises:
        DataError: the file is no Keras archive of Keraldi's.
    """
    try:
        config = check_archive(path)["config"]
        recipe, layers = config["recipe"], list(config["layers"])
    except DAMAGES as error:
        raise DataError(
            f"{path}: not a model of Keraldi's ({error}); train it again"
        ) from None
    return Recipe.from_values(recipe, source=str(path)), layers
