"""What a newcomer gives the layers: it works as in Keras, or one line says what does."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent import GRU, LSTM, LSTMP, LiGRU, SimpleRNN

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
MASK = np.arange(6) < np.array([[6], [4]])
ZERO = np.zeros((2, 4), "float32")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LSTM(4, peephole=True),
            "unknown option 'peephole'; did you mean 'peepholes'",
        ),
        (lambda: LSTM(4, return_sequence=True), "did you mean 'return_sequences'"),
        (
            lambda: GRU(4, time_major=True),
            "'time_major'; take it out. .* there are bias_const",
        ),
        (lambda: LiGRU(4, layer_norm=True), "LiGRU: unknown option 'layer_norm'"),
        (lambda: SimpleRNN(4, use_bias=False), "unknown option 'use_bias'"),
        (lambda: SimpleRNN(4, activation=["tanh"]), "expected tanh, sigmoid, relu"),
        (
            lambda: LSTM("4"),
            "units: expected a whole number of at least 1, got '4'",
        ),
        (
            lambda: LSTM(4, recurrent_activation="relu"),
            "unknown option 'recurrent_activation'; take it out",
        ),
        (lambda: LSTM(4, unit_forget_bias=True), "did you mean 'forget_bias'"),
        (lambda: LSTMP(4, projection=None), "projection: expected a whole number"),
        (lambda: LSTMP(4, projection=2.5), "projection: expected a whole number"),
        (lambda: LSTM(4, dropout="0.2"), "dropout: expected at least 0 and less than"),
        (lambda: LSTM(4, zoneout=True), "zoneout: expected at least 0 and less than"),
        (
            lambda: LSTM(4, cell_clip="3"),
            "cell_clip: expected None or more than 0, got",
        ),
        (lambda: LSTM(4, peepholes="no"), "peepholes: expected True or False, got"),
        (lambda: GRU(4, reset_after=1), "reset_after: expected True or False, got 1"),
        (
            lambda: LSTM(4)(keras.Input((None, None))),
            "width is not known; give it, as in keras.Input",
        ),
        (
            lambda: LSTM(4)(keras.Input((None, 0))),
            r"the inputs \[B, T, 0\] have no features; expected at least 1",
        ),
        (lambda: GRU(4, dtype="int32"), "dtype: expected a floating one.*got 'int32'"),
        (lambda: LiGRU(4, dtype="bool"), "dtype: expected a floating one.*got 'bool'"),
    ],
)
def test_what_a_layer_cannot_be_made_with_is_told(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer(X[:, :0]), "the sequences have no frames"),
        (lambda layer: layer(X, mask=MASK[:, :3]), r"expected .* \(2, 6\), got \(2, 3"),
        (lambda layer: layer(X, mask=MASK[..., None]), r"got \(2, 6, 1\)"),
        (lambda layer: layer(X, mask=MASK[0]), r"got \(6,\)"),
        (
            lambda layer: layer(tf.RaggedTensor.from_tensor(X)),
            "give x.to_tensor.. and mask=tf.sequence_mask",
        ),
        (
            lambda layer: layer(X, initial_state=ZERO),
            r"a list of shapes \[\(2, 4\), \(2, 4\)\], got \[\(2, 4\)\]",
        ),
        (lambda layer: layer(tf.sparse.from_dense(X)), "give tf.sparse.to_dense"),
        (lambda layer: layer(X + 1j), "expected real numbers, got complex"),
        (lambda layer: layer(X.astype(str)), "expected real numbers, got string"),
        (
            lambda layer: layer(X, initial_state=[ZERO, None]),
            r"got \[\(2, 4\), 'NoneType'\]",
        ),
        (
            lambda layer: layer(X, initial_state=[ZERO, ZERO[:1]]),
            r"got \[\(2, 4\), \(1, 4\)\]",
        ),
    ],
)
def test_what_a_layer_cannot_run_over_is_told(call, message):
    with pytest.raises(ConfigError, match=message):
        call(LSTM(4))


@pytest.mark.parametrize("wrong", [X[0], X[None]])
def test_other_ranks_are_refused_as_keras_does(wrong):
    with pytest.raises(ValueError, match="expected ndim=3"):
        LSTM(4)(wrong)


def test_another_width_than_the_first_is_refused_as_keras_does():
    layer = LSTM(4)
    layer(X)
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 3"):
        layer(X[..., :2])


def test_a_layer_that_hands_on_no_sequence_is_noticed_by_the_next():
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        keras.Sequential([keras.Input((None, 3)), LSTM(4), GRU(4)])


def test_kinds_of_numbers_are_taken_as_keras_takes_them():
    layer = LSTM(np.int64(4))
    assert layer.units == 4
    whole = (10 * X).astype("int32")
    np.testing.assert_array_equal(layer(whole), layer(whole.astype("float64")))
    for mask in (MASK.astype(int), MASK.astype("float32"), MASK.tolist()):
        np.testing.assert_array_equal(layer(X, mask=mask), layer(X, mask=MASK))
    assert layer(X[:0]).shape == (0, 4)
    assert LSTM(4, dtype="float64")(X).dtype == tf.float64
    json.dumps(LSTM(4, cell_clip=np.float32(3)).get_config())


def test_a_mask_may_have_holes():
    layer = LSTM(4, return_sequences=True)
    kept = [0, 2, 3, 5]
    holes = np.isin(np.arange(6), kept)[None].repeat(2, 0)
    outputs = layer(X, mask=holes).numpy()
    np.testing.assert_allclose(outputs[:, kept], layer(X[:, kept]), atol=1e-6)
    np.testing.assert_array_equal(outputs[:, 1], outputs[:, 0])


def test_both_directions_give_their_states():
    both = keras.layers.Bidirectional(
        LSTMP(4, projection=2, return_sequences=True, return_state=True)
    )
    outputs, *states = both(X)
    assert [s.shape[1] for s in states] == [2, 4, 2, 4]
    np.testing.assert_array_equal(outputs[:, -1, :2], states[0])
    np.testing.assert_array_equal(outputs[:, 0, 2:], states[2])


def test_a_model_is_cloned_fitted_with_weights_and_predicts_any_length():
    inputs, start = keras.Input((None, 3)), [keras.Input((4,)), keras.Input((4,))]
    hidden = LSTM(4, return_sequences=True)(inputs, initial_state=start)
    model = keras.Model([inputs, *start], keras.layers.Dense(1)(hidden))
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    lines = []
    model.summary(print_fn=lines.append)
    assert "LSTM" in lines[0]
    for length in (6, 3, 5):
        given = [X[:, :length], ZERO, ZERO]
        outputs = model.predict(given, verbose=0)
        assert outputs.shape == (2, length, 1)
        np.testing.assert_allclose(twin.predict(given, verbose=0), outputs, atol=1e-6)
    twin.compile("sgd", "mse")
    weights = np.zeros((2, 6))
    before = twin.get_weights()
    twin.fit([X, ZERO, ZERO], np.ones((2, 6, 1)), sample_weight=weights, verbose=0)
    for a, b in zip(before, twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_of_a_state_that_only_the_run_shows_are_those_of_the_batch():
    layer = LSTM(4)
    layer.build(X.shape)
    specs = [tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, 4])]

    @tf.function(input_signature=specs)
    def run(x: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        return layer(x, initial_state=[state, state])

    one = np.ones((1, 4), "float32")
    both = [one.repeat(2, 0)] * 2
    np.testing.assert_allclose(run(X, one), layer(X, initial_state=both), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(X, one.repeat(3, 0))
