"""Jacobians over a layer in training, whose gradient is a graph of what was run eagerly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.nnet.recurrent import GRU, SimpleRNN, chunks, layers

FLOAT64 = 1e-9
ROWS, FRAMES, INPUTS = 2, 3, 2
X = np.random.default_rng(0).normal(size=(ROWS, FRAMES, INPUTS))
MASK = np.arange(FRAMES) < np.array([[FRAMES], [2]])

# What is kept is kept alike for every cell.
FAMILY = {
    "rnn": lambda **k: SimpleRNN(2, layer_norm=True, **k),
    "gru": lambda **k: GRU(2, zoneout=0.3, recurrent_dropout=0.3, **k),
}


def jacobians(layer, *, pfor: bool) -> list[tf.Tensor]:
    """Of every frame's output, summed, by the inputs and every weight."""
    layer.cell.seed_generator.state.assign([1, 2])
    x = tf.constant(X)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = tf.reduce_sum(layer(x, mask=MASK, training=True), -1)
    weights = [weight.value for weight in layer.trainable_variables]
    return tape.jacobian(outputs, [x, *weights], experimental_use_pfor=pfor)


@pytest.mark.parametrize(("cell", "pfor"), [("rnn", False), ("gru", True)])
def test_they_are_those_of_automatic_differentiation(cell, pfor, monkeypatch):
    monkeypatch.setattr(chunks, "COLUMNS", 2 * ROWS)  # two chunks
    keras.utils.set_random_seed(3)
    layer = FAMILY[cell](return_sequences=True, dtype="float64")
    layer.build(X.shape)
    ours, by_hand = jacobians(layer, pfor=pfor), layers.run
    monkeypatch.setattr(
        layers, "run", lambda *given, **k: by_hand(*given, **{**k, "keep": False})
    )
    for a, b in zip(ours, jacobians(layer, pfor=False), strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT64)
