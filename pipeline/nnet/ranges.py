"""Values in their range: what layers, and the settings that name them, check alike."""

import math
from numbers import Integral, Real
from typing import Any

from features.errors import ConfigError

IMPLEMENTATIONS = ("auto", "engine", "cudnn")  # of what runs a recurrent layer


def implementation(name: str, value: Any) -> str:
    """`value` if it is one of `IMPLEMENTATIONS`."""
    if value not in IMPLEMENTATIONS:
        raise ConfigError(
            f"{name}: expected {', '.join(IMPLEMENTATIONS)}, got {value!r}"
        )
    return str(value)


def positive(name: str, value: Any) -> int:
    """`value` if it is a whole number of at least one."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ConfigError(
            f"{name}: expected a whole number of at least 1, got {value!r}"
        )
    return int(value)


def positive_or_none(name: str, value: Any) -> int | None:
    """`value` if it is None or a whole number of at least one."""
    return None if value is None else positive(name, value)


def _is_number(value: Any) -> bool:
    real = isinstance(value, Real) and not isinstance(value, bool)
    return real and not math.isnan(value)


def share(name: str, value: Any) -> float:
    """`value` if it is at least nought and less than one."""
    if not (_is_number(value) and 0.0 <= value < 1.0):
        raise ConfigError(f"{name}: expected at least 0 and less than 1, got {value!r}")
    return float(value)


def bound(name: str, value: Any) -> float | None:
    """`value` if it is None or above nought."""
    if value is None:
        return None
    if not (_is_number(value) and value > 0.0):
        raise ConfigError(f"{name}: expected None or more than 0, got {value!r}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """`value` if it is True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: expected True or False, got {value!r}")
    return value


def check_gru_norm(name: str, reset_after: bool) -> None:
    """That a GRU which is to be normalised resets after the product."""
    if not reset_after:
        raise ConfigError(
            f"{name}: of a GRU it needs the reset gate after the product; "
            "give reset_after too"
        )
