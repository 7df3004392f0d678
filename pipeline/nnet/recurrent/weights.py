"""Weights between these layers and Keras's own, where the equation is the same."""

import keras
import numpy as np

from features.errors import ConfigError
from pipeline.nnet.recurrent.cells import Cell
from pipeline.nnet.recurrent.layers import GRU, LSTM, Recurrent, SimpleRNN


def _minus_update(matrix: np.ndarray, units: int) -> np.ndarray:
    """Keras's update gate is one minus ours, and σ(−x) = 1 − σ(x)."""
    return np.concatenate([-matrix[..., :units], matrix[..., units:]], -1)


def _dropped(cell: Cell) -> dict[str, float]:
    """What Keras drops in the same way: the same units all along a sequence."""
    return {name: getattr(cell, name) for name in ("dropout", "recurrent_dropout")}


def _check(layer: Recurrent) -> None:
    """That Keras has a layer of the same equation."""
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


def to_keras(layer: Recurrent) -> keras.layers.RNN:
    """The same layer as one of Keras's own, with the same weights.

    Args:
        layer: a built `SimpleRNN`, `LSTM` or `GRU`.

    Raises:
        ConfigError: Keras has no layer of this equation.
    """
    _check(layer)
    cell, config = layer.cell, keras.layers.RNN.get_config(layer)
    config.pop("cell")
    arguments = {**config, "units": cell.units, **_dropped(cell)}
    weights = [w.numpy() for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]
    if isinstance(layer, LSTM):
        theirs = keras.layers.LSTM(**arguments)
    elif isinstance(layer, GRU):
        theirs = keras.layers.GRU(**arguments, reset_after=cell.reset_after)
        weights = [_minus_update(weight, cell.units) for weight in weights]
        if cell.reset_after:
            fed_back = np.zeros_like(weights[2])
            fed_back[-cell.units :] = cell.recurrent_bias.numpy()
            weights[2] = np.stack([weights[2], fed_back])
    else:
        theirs = keras.layers.SimpleRNN(**arguments, activation=cell.activation)
    theirs.build((None, None, weights[0].shape[0]))
    theirs.set_weights(weights)
    return theirs


def from_keras(layer: keras.layers.RNN) -> Recurrent:
    """One of Keras's layers as one of these, with the same weights.

    Args:
        layer: a built `keras.layers.SimpleRNN`, `LSTM` or `GRU` with its default activations
            and a bias.

    Raises:
        ConfigError: there is no layer of this equation.
    """
    config = layer.get_config()
    outer = {
        name: config[name]
        for name in (
            "name",
            "return_sequences",
            "return_state",
            "go_backwards",
            "stateful",
            "zero_output_for_mask",
            "dropout",
            "recurrent_dropout",
        )
    }
    usual = config["activation"] == "tanh" and config["use_bias"]
    gated = isinstance(layer, keras.layers.LSTM | keras.layers.GRU)
    if gated and config["recurrent_activation"] != "sigmoid":
        usual = False
    if not gated and not isinstance(layer, keras.layers.SimpleRNN):
        usual = False
    if not usual:
        raise ConfigError(
            f"{layer.name}: expected a SimpleRNN, LSTM or GRU of Keras with a bias, tanh and "
            "sigmoid"
        )
    outer |= {"units": config["units"], "dtype": layer.dtype_policy}
    weights = [weight.numpy() for weight in layer.cell.trainable_variables]
    if isinstance(layer, keras.layers.LSTM):
        ours: Recurrent = LSTM(**outer)
    elif isinstance(layer, keras.layers.GRU):
        ours = GRU(**outer, reset_after=config["reset_after"])
        units = config["units"]
        weights = [_minus_update(weight, units) for weight in weights]
        if config["reset_after"]:
            inputs, fed_back = weights.pop()
            inputs[:-units] += fed_back[:-units]
            weights += [inputs, fed_back[-units:]]
    else:
        ours = SimpleRNN(**outer)
    ours.build((None, None, weights[0].shape[0]))
    for variable, weight in zip(ours.cell.trainable_variables, weights, strict=True):
        variable.assign(weight)
    return ours
