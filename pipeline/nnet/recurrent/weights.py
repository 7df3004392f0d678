"""Weights between these layers and Keras's own, where the equation is the same."""

from typing import Any

import keras
import numpy as np

from features.errors import ConfigError
from pipeline.nnet.recurrent.cells.plain import ACTIVATIONS
from pipeline.nnet.recurrent.layers import GRU, LSTM, Recurrent, SimpleRNN

_DROPPED = (
    "dropout",
    "recurrent_dropout",
)  # the same units all along a sequence in both
_RULES = tuple(
    f"{rules}_{kind}"
    for rules in ("kernel", "recurrent", "bias")
    for kind in ("regularizer", "constraint")
)
_CARRIED = (
    *_DROPPED,
    "name",
    "trainable",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
    "activity_regularizer",
)


def _minus_update(matrix: np.ndarray, units: int) -> np.ndarray:
    """Keras's update gate is one minus ours, and σ(−x) = 1 − σ(x)."""
    return np.concatenate([-matrix[..., :units], matrix[..., units:]], -1)


def _filled(
    layer: keras.layers.RNN, like: keras.layers.RNN, weights: dict[str, np.ndarray]
) -> Any:
    """`layer` built as `like` is, with these weights of the cell."""
    # Keras wants to know the rows of a stateful layer.
    rows = like.states[0].shape[0] if like.stateful else None
    layer.build((rows, None, len(weights["kernel"])))
    for name, weight in weights.items():
        getattr(layer.cell, name).assign(weight)
    return layer


def _read(layer: keras.layers.RNN) -> dict[str, np.ndarray]:
    """What every cell has, Keras's and ours, by name.

    Raises:
        ConfigError: the layer has no weights yet.
    """
    if not layer.built:
        raise ConfigError(
            f"{layer.name}: it has no weights yet; build it, or call it once, first"
        )
    names = ("kernel", "recurrent_kernel", "bias")
    return {name: getattr(layer.cell, name).numpy() for name in names}


def _check_ours(layer: Any) -> None:
    """That Keras has a layer of the same equation."""
    if not isinstance(layer, Recurrent):
        raise ConfigError(
            f"{getattr(layer, 'name', 'to_keras')}: expected a layer of "
            f"pipeline.nnet.recurrent, got a {type(layer).__name__}"
        )
    cell = layer.cell
    extra = [
        name
        for name in ("projection", "peepholes", "layer_norm", "cell_clip", "zoneout")
        if getattr(cell, name, None)
    ]
    if isinstance(layer, LSTM) and not cell.forget_gate:
        extra.append("forget_gate: False")
    if extra or not isinstance(layer, SimpleRNN | LSTM | GRU):
        what = ", ".join(extra) or type(layer).__name__
        raise ConfigError(f"{layer.name}: Keras has no such layer ({what})")


def _rules_of(layer: Any) -> dict[str, Any]:
    """Regularizers and constraints of a layer's weights.

    Raises:
        ConfigError: a GRU has any; its update gate has the other sign in the other form.
    """
    rules = {name: getattr(layer.cell, name) for name in _RULES}
    for name, rule in rules.items():
        if rule is not None and isinstance(layer, GRU | keras.layers.GRU):
            raise ConfigError(
                f"{layer.name}: {name}: would bind other values of a GRU here than there; make "
                "it None of the layer's cell to convert without"
            )
    return rules


def to_keras(layer: Recurrent) -> keras.layers.RNN:
    """The same layer as one of Keras's own, with the same weights.

    Args:
        layer: a built `SimpleRNN`, `LSTM` or `GRU`.

    Raises:
        ConfigError: Keras has no layer of this equation, or there are no weights yet.
    """
    _check_ours(layer)
    cell, weights = layer.cell, _read(layer)
    config = keras.layers.RNN.get_config(layer)
    config.pop("cell")
    dropped = {name: getattr(cell, name) for name in _DROPPED}
    arguments = config | dropped | _rules_of(layer)
    arguments["units"] = cell.units
    if isinstance(layer, LSTM):
        theirs = keras.layers.LSTM(**arguments)
    elif isinstance(layer, GRU):
        theirs = keras.layers.GRU(**arguments, reset_after=cell.reset_after)
        weights = {k: _minus_update(w, cell.units) for k, w in weights.items()}
        if cell.reset_after:
            fed_back = np.zeros_like(weights["bias"])
            fed_back[-cell.units :] = cell.recurrent_bias.numpy()
            weights["bias"] = np.stack([weights["bias"], fed_back])
    else:
        theirs = keras.layers.SimpleRNN(**arguments, activation=cell.activation)
    return _filled(theirs, layer, weights)


def _check_theirs(layer: Any) -> None:
    """That there is a layer of the same equation here."""
    if not isinstance(layer, keras.layers.Layer):
        raise ConfigError(
            f"from_keras: expected a layer of Keras, got a {type(layer).__name__}"
        )
    config = layer.get_config()
    match layer:
        case keras.layers.SimpleRNN():
            usual = config["activation"] in list(ACTIVATIONS)
        case keras.layers.LSTM() | keras.layers.GRU():
            kinds = (config["activation"], config["recurrent_activation"])
            usual = kinds == ("tanh", "sigmoid")
        case _:
            usual = False
    if not (usual and config["use_bias"]):
        raise ConfigError(
            f"{layer.name}: expected a SimpleRNN, LSTM or GRU of Keras with a bias, tanh and "
            "sigmoid"
        )


def from_keras(layer: keras.layers.RNN) -> Recurrent:
    """One of Keras's layers as one of these, with the same weights.

    Args:
        layer: a built `keras.layers.SimpleRNN`, `LSTM` or `GRU` with a bias, gates of
            sigmoid and tanh; a GRU without regularizer or constraint of a weight.

    Raises:
        ConfigError: there is no layer of this equation, or there are no weights yet.
    """
    _check_theirs(layer)
    config, weights = layer.get_config(), _read(layer)
    outer = {name: config[name] for name in (*_CARRIED, "units")}
    outer |= _rules_of(layer) | {"dtype": layer.dtype_policy}
    if isinstance(layer, keras.layers.LSTM):
        ours: Recurrent = LSTM(**outer)
    elif isinstance(layer, keras.layers.GRU):
        ours = GRU(**outer, reset_after=config["reset_after"])
        units = config["units"]
        weights = {k: _minus_update(w, units) for k, w in weights.items()}
        if config["reset_after"]:
            inputs, fed_back = weights["bias"]
            inputs[:-units] += fed_back[:-units]
            weights |= {"bias": inputs, "recurrent_bias": fed_back[-units:]}
    else:
        ours = SimpleRNN(**outer, activation=config["activation"])
    return _filled(ours, layer, weights)
