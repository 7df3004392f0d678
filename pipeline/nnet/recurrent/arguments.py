"""What layers and cells are given: known options, shapes that fit."""

import difflib
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from features.errors import ConfigError

Shape = Sequence[int | None]

# A slip of the pen, or Keras's unit_forget_bias; recurrent_activation is no recurrent_initializer.
_ALIKE = 0.8


def options_of(kind: type, base: type) -> list[str]:
    """Names of the keyword arguments of a class and of those it is made from, up to `base`."""
    names = []
    for part in kind.__mro__[: kind.__mro__.index(base) + 1]:
        if "__init__" in vars(part):
            parameters = inspect.signature(part).parameters.values()
            names += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    return names


def refuse_unknown(
    layer: str, given: Iterable[str], known: Sequence[str], keras: Sequence[str]
) -> None:
    """Refuses options that neither a layer nor `keras.layers.RNN` has.

    Raises:
        ConfigError: there is one; names those that there are.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, [*known, *keras], 1, _ALIKE)
            mend = f"did you mean {close[0]!r}?" if close else "take it out."
            raise ConfigError(
                f"{layer}: unknown option {name!r}; {mend} Beside those of keras.layers.RNN "
                f"there are {', '.join(sorted(set(known)))}"
            )


def _fits(shape: Shape, wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )


def check_call(
    layer: str,
    sequences: Any,
    initial_state: Any,
    mask: Any,
    *,
    state_sizes: Sequence[int],
) -> None:
    """Refuses what a layer cannot run over, as far as shapes are known.

    Args:
        layer: its name.
        sequences: to be [B, T, F].
        initial_state: None, or one [B, N_k] for each state.
        mask: None, or [B, T].
        state_sizes: N_k of each state.

    Raises:
        ConfigError: something does not fit.
    """
    if isinstance(sequences, tf.RaggedTensor):
        raise ConfigError(
            f"{layer}: expected a dense tensor [B, T, F], got a ragged one; give "
            "x.to_tensor() and mask=tf.sequence_mask(x.row_lengths())"
        )
    if isinstance(sequences, tf.SparseTensor):
        raise ConfigError(
            f"{layer}: expected a dense tensor [B, T, F], got a sparse one; give "
            "tf.sparse.to_dense(x)"
        )
    dtype = tf.as_dtype(sequences.dtype)
    if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        raise ConfigError(f"{layer}: expected real numbers, got {dtype.name}")
    rows, frames = sequences.shape[:2]
    if frames == 0:
        raise ConfigError(f"{layer}: the sequences have no frames; expected at least 1")
    if mask is not None and not _fits(mask.shape, (rows, frames)):
        raise ConfigError(
            f"{layer}: mask: expected [B, T] as of the inputs, {(rows, frames)}, "
            f"got {tuple(mask.shape)}"
        )
    if initial_state is None:
        return
    listed = isinstance(initial_state, list | tuple)
    given = initial_state if listed else [initial_state]
    shapes = [getattr(state, "shape", None) for state in given]
    wanted = [(rows, size) for size in state_sizes]
    fitting = len(shapes) == len(wanted) and all(
        shape is not None and _fits(shape, size)
        for shape, size in zip(shapes, wanted, strict=True)
    )
    if not fitting:
        got = [
            type(state).__name__ if shape is None else tuple(shape)
            for state, shape in zip(given, shapes, strict=True)
        ]
        raise ConfigError(
            f"{layer}: initial_state: expected a list of shapes {wanted}, got {got}"
        )
