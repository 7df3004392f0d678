"""What a finished model carries beside its weights, so that it can be used alone."""

import json
import re
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from features.errors import DataError
from features.frontend import FrontendOptions
from features.spectral import FeatureOptions
from pipeline.config import check

ROWS = 32  # utterances that a network is run over together


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
    states: int
    label_delay: int
    log_priors: list[float]
    global_cmvn: list[list[float]] | None

    def to_values(self) -> dict[str, Any]:
        """Plain values that survive JSON."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: dict[str, Any], *, source: str) -> "Recipe":
        """Checks plain values, as a loaded model holds them; ConfigError names a wrong one."""
        return check(values, cls, source=source)


_LARGEST = 1 << 26  # bytes that anything in an archive may unpack to,
_PACKED = (
    50  # or so many times what it takes there: floats do not get smaller than that
)
_CODE = re.compile(rb'"class_name"\s*:\s*"(Lambda|__lambda__)"')
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


def check_archive(path: str | Path) -> None:
    """Checks that a Keras archive holds no code, and unpacks to no more memory than models take.

    Keras itself refuses code (`safe_mode`), in words that speak of something else.

    Raises:
        DataError: something in it unpacks to very much more than it takes in the file, or it
            holds a Lambda layer.
        DAMAGES: it is no archive, or no model.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.file_size > max(_LARGEST, _PACKED * entry.compress_size):
                raise DataError(
                    f"{path}: {entry.filename} in it unpacks to {entry.file_size} bytes from "
                    f"{entry.compress_size}, which no model does; train it again"
                )
        config = archive.read("config.json")
    if _CODE.search(config):
        raise DataError(
            f"{path}: holds a Lambda layer, unsafe code that loading would run: not loaded; use "
            "a model of Keraldi's layers"
        )


def stored_network(path: str | Path) -> tuple[Recipe, list[dict[str, Any]]]:
    """What `final.keras` says of itself, read without TensorFlow: the recipe and its layers.

    Raises:
        DataError: the file is no Keras archive of Keraldi's.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))["config"]
        recipe, layers = config["recipe"], list(config["layers"])
    except DAMAGES as error:
        raise DataError(
            f"{path}: not a model of Keraldi's ({error}); train it again"
        ) from None
    return Recipe.from_values(recipe, source=str(path)), layers
