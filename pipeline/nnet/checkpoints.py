"""Weights and the whole state of a training on disk, each in one file that is whole or absent."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features.errors import DataError
from features.files import atomic_file

_NOTES = "notes"


def save_arrays(
    path: Path, arrays: Sequence[np.ndarray], notes: Mapping[str, Any]
) -> None:
    """Writes arrays and plain values into one `.npz`."""
    named: dict[str, Any] = {
        f"array{number:05d}": array for number, array in enumerate(arrays)
    }
    named[_NOTES] = np.array(json.dumps(notes))
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **named)


def load_arrays(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Reads what `save_arrays` wrote.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = [stored[name] for name in sorted(stored.files) if name != _NOTES]
            return arrays, json.loads(str(stored[_NOTES]))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(
            f"{path}: damaged ({error}); remove it and train again"
        ) from None


def read_variables(variables: Sequence[Any]) -> list[np.ndarray]:
    """Copies the values of Keras or TensorFlow variables."""
    return [np.array(variable) for variable in variables]


def assign_variables(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Gives variables their values back, in the order of `read_variables`."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def average(paths: Sequence[Path]) -> list[np.ndarray]:
    """The mean of several sets of weights, computed in float64."""
    sums: list[np.ndarray] = []
    for path in paths:
        arrays, _ = load_arrays(path)
        doubles = [array.astype(np.float64) for array in arrays]
        sums = [a + b for a, b in zip(sums, doubles, strict=True)] if sums else doubles
    return [total / len(paths) for total in sums]
