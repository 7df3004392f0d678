"""Weights to Keras's layers and back: the outputs agree."""

import keras
import numpy as np
import pytest

from features.errors import ConfigError
from pipeline.nnet.recurrent import GRU, LSTM, LSTMP, SimpleRNN
from pipeline.nnet.recurrent.weights import from_keras, to_keras

FLOAT64 = 1e-12
X = np.random.default_rng(0).normal(size=(3, 9, 4))
MASK = np.arange(9) < np.array([[9], [5], [1]])


def shuffled(layer):
    """The layer with weights that are nowhere zero."""
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (SimpleRNN, {"activation": "relu"}),
        (LSTM, {"go_backwards": True}),
        (GRU, {}),
        (GRU, {"reset_after": True}),
    ],
)
def test_keras_gives_what_our_layer_gives(kind, options):
    ours = shuffled(kind(5, dtype="float64", return_sequences=True, **options))
    theirs = to_keras(ours)
    assert type(theirs) is getattr(keras.layers, kind.__name__)
    for mask in (None, MASK):
        np.testing.assert_allclose(
            ours(X, mask=mask), theirs(X, mask=mask), atol=FLOAT64
        )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (keras.layers.SimpleRNN, {}),
        (keras.layers.LSTM, {"return_sequences": True}),
        (keras.layers.GRU, {"reset_after": False}),
        (keras.layers.GRU, {"reset_after": True, "go_backwards": True}),
    ],
)
def test_our_layer_gives_what_keras_gives(kind, options):
    theirs = shuffled(kind(5, dtype="float64", **options))
    ours = from_keras(theirs)
    np.testing.assert_allclose(ours(X), theirs(X), atol=FLOAT64)


def test_what_is_dropped_and_returned_goes_along():
    options = {"dropout": 0.2, "recurrent_dropout": 0.1, "zero_output_for_mask": True}
    ours = shuffled(LSTM(4, return_sequences=True, **options))
    theirs = to_keras(ours)
    again = from_keras(theirs)
    for option, value in options.items():
        assert theirs.get_config()[option] == value
        assert again.get_config()[option] == value
    np.testing.assert_allclose(again(X, mask=MASK), theirs(X, mask=MASK), atol=1e-6)


def test_plain_rnns_of_every_activation_come_back():
    theirs = shuffled(keras.layers.SimpleRNN(3, activation="relu", dtype="float64"))
    np.testing.assert_allclose(from_keras(theirs)(X), theirs(X), atol=FLOAT64)


def test_frozen_and_stateful_layers_stay_so():
    options = {"stateful": True, "trainable": False, "activity_regularizer": "l1"}
    theirs = keras.layers.GRU(3, dtype="float64", **options)
    theirs(X)
    ours = from_keras(theirs)
    again = to_keras(ours)
    assert not ours.trainable_variables
    assert not again.trainable_variables
    second, third = theirs(X), theirs(X)
    for layer in (ours, again):
        layer(X)  # the first call of each, as of `theirs` above
        np.testing.assert_allclose(layer(X), second, atol=FLOAT64)
        np.testing.assert_allclose(layer(X), third, atol=FLOAT64)
        assert float(layer.losses[0]) > 0


def test_regularizers_and_constraints_go_along():
    rules = {"kernel_regularizer": "l2", "bias_constraint": keras.constraints.MaxNorm()}
    theirs = shuffled(keras.layers.LSTM(3, dtype="float64", **rules))
    ours = from_keras(theirs)
    again = to_keras(ours)
    for layer in (ours, again):
        assert layer.losses[0].numpy() == pytest.approx(theirs.losses[0].numpy())
        assert isinstance(layer.cell.bias_constraint, keras.constraints.MaxNorm)


@pytest.mark.parametrize(
    ("convert", "layer", "message"),
    [
        (from_keras, keras.layers.LSTM(3), "no weights yet; build it, or call it"),
        (to_keras, LSTM(3), "no weights yet; build it, or call it"),
        (from_keras, keras.layers.Dense(3), "expected a SimpleRNN, LSTM or GRU"),
        (from_keras, LSTM(3), "expected a SimpleRNN, LSTM or GRU of Keras"),
        (
            from_keras,
            keras.layers.RNN(keras.layers.LSTMCell(3)),
            "expected a SimpleRNN, LSTM or GRU of Keras",
        ),
        (
            from_keras,
            shuffled(keras.layers.GRU(3, kernel_regularizer="l2")),
            "kernel_regularizer: would bind other values of a GRU",
        ),
        (
            to_keras,
            keras.layers.Bidirectional(LSTM(3)),
            "expected a layer of pipeline.nnet.recurrent, got a Bidirectional",
        ),
        (to_keras, "x", "to_keras: expected a layer .*, got a str"),
        (from_keras, None, "from_keras: expected a layer of Keras, got a NoneType"),
    ],
)
def test_what_cannot_be_converted_is_told(convert, layer, message):
    with pytest.raises(ConfigError, match=message):
        convert(layer)


def test_what_the_other_side_lacks_is_refused():
    with pytest.raises(ConfigError, match="no such layer .projection."):
        to_keras(shuffled(LSTMP(4, projection=2)))
    with pytest.raises(ConfigError, match="expected a SimpleRNN, LSTM or GRU"):
        from_keras(shuffled(keras.layers.LSTM(4, activation="relu")))
