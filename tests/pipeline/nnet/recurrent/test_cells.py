"""Every cell: forward against NumPy, gradient against automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent import GRU, LSTM, LSTMP, SimpleRNN

FLOAT64 = 1e-9
FLOAT32 = 1e-5
BATCH, FRAMES, INPUTS, UNITS = 3, 7, 4, 5
LENGTHS = np.array([7, 4, 0])  # a full row, a padded one, one that is all padding
MASK = np.arange(FRAMES) < LENGTHS[:, None]

CELLS = {
    "rnn-tanh": (SimpleRNN, {}),
    "rnn-sigmoid": (SimpleRNN, {"activation": "sigmoid"}),
    "rnn-relu": (SimpleRNN, {"activation": "relu"}),
    "lstm": (LSTM, {}),
    "lstmp": (LSTMP, {"projection": 3}),
    "gru": (GRU, {}),
}


def make(name: str, dtype: str = "float64", **changes) -> keras.layers.RNN:
    keras.utils.set_random_seed(7)
    layer, arguments = CELLS[name]
    arguments = {"return_sequences": True, "return_state": True, **arguments, **changes}
    return layer(UNITS, dtype=dtype, **arguments)


def inputs(dtype: str = "float64") -> tf.Tensor:
    return tf.constant(
        np.random.default_rng(3).normal(size=(BATCH, FRAMES, INPUTS)), dtype
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def oracle(name: str, weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """One sequence [T, F] by the equations of the design, gate by gate."""
    w, u, b = weights["kernel"], weights["recurrent_kernel"], weights["bias"]
    n = UNITS
    h = np.zeros(u.shape[0])
    c = np.zeros(n)
    outputs = []
    for frame in x:
        z = frame @ w + b
        if name.startswith("rnn"):
            act = {
                "tanh": np.tanh,
                "sigmoid": sigmoid,
                "relu": lambda v: np.maximum(v, 0),
            }
            h = act[name.split("-")[1]](z + h @ u)
        elif name == "gru":
            update = sigmoid(z[:n] + h @ u[:, :n])
            reset = sigmoid(z[n : 2 * n] + h @ u[:, n : 2 * n])
            candidate = np.tanh(z[2 * n :] + (reset * h) @ u[:, 2 * n :])
            h = (1 - update) * h + update * candidate
        else:
            i, f, g, o = np.split(z + h @ u, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            if name == "lstmp":
                h = h @ weights["projection_kernel"]
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.parametrize("name", CELLS)
def test_the_forward_pass_is_the_equation(name):
    layer = make(name)
    outputs = layer(inputs())[0].numpy()
    weights = {w.name: w.numpy() for w in layer.cell.weights}
    for row in range(BATCH):
        expected = oracle(name, weights, inputs()[row].numpy())
        np.testing.assert_allclose(outputs[row], expected, atol=FLOAT64)


def value_and_gradients(
    layer, x: tf.Tensor, mask, state: list[tf.Tensor] | None
) -> list:
    """Outputs, states and all gradients of a loss over both."""
    backwards = layer.go_backwards
    real = MASK[:, ::-1] if backwards else MASK
    weight = 1.0 if mask is None else tf.cast(real[..., None], x.dtype)
    layer.build(x.shape)
    variables = layer.cell.trainable_variables
    sources = [x, *(state or [])]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs, *states = layer(x, mask=mask, initial_state=state)
        loss = tf.reduce_sum(tf.sin(3 * outputs) * weight)
        loss += sum(tf.reduce_sum(tf.cos(2 * s)) for s in states)
    gradients = tape.gradient(loss, [*sources, *variables])
    return [outputs * weight, *states, *gradients]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_gradient_is_that_of_the_plain_step(name, masked, backwards):
    engine = make(name, go_backwards=backwards)
    plain = keras.layers.RNN(
        engine.cell, return_sequences=True, return_state=True,
        go_backwards=backwards, dtype="float64",
    )  # fmt: skip
    rng = np.random.default_rng(5)
    state = [tf.constant(rng.normal(size=(BATCH, s))) for s in engine.state_size]
    mask = MASK if masked else None
    ours = value_and_gradients(engine, inputs(), mask, state)
    theirs = value_and_gradients(plain, inputs(), mask, state)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT64)


@pytest.mark.parametrize("name", CELLS)
def test_float32_graphs_give_the_same(name):
    layer = make(name, dtype="float32")
    eager = value_and_gradients(layer, inputs("float32"), MASK, None)
    graph = tf.function(lambda x: value_and_gradients(layer, x, MASK, None))
    for a, b in zip(eager, graph(inputs("float32")), strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT32)


def test_xla_gives_the_same():
    layer = make("lstmp", dtype="float32")
    x = inputs("float32")
    plain = layer(x)[0]
    compiled = tf.function(lambda v: layer(v)[0], jit_compile=True)(x)
    np.testing.assert_allclose(plain, compiled, atol=FLOAT32)


@pytest.mark.parametrize("name", CELLS)
def test_chunks_carry_the_state(name):
    layer = make(name)
    x = inputs()
    whole, *end = layer(x)
    first, *state = layer(x[:, :3])
    second, *state = layer(x[:, 3:], initial_state=state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=FLOAT64)
    for a, b in zip(state, end, strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT64)


@pytest.mark.parametrize("name", ["lstm", "rnn-tanh"])
def test_the_same_weights_give_what_keras_gives(name):
    ours = make(name)
    theirs = {"lstm": keras.layers.LSTM, "rnn-tanh": keras.layers.SimpleRNN}[name](
        UNITS, return_sequences=True, dtype="float64"
    )
    outputs = ours(inputs())[0]
    theirs.build((None, None, INPUTS))
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(outputs, theirs(inputs()), atol=FLOAT64)


def test_bidirectional_stateful_and_time_distributed_work(tmp_path):
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 6, INPUTS)),
            keras.layers.Bidirectional(LSTMP(6, projection=3, return_sequences=True)),
            GRU(4, return_sequences=True, stateful=True),
            keras.layers.TimeDistributed(keras.layers.Dense(2)),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, 6, INPUTS)).astype(np.float32)
    first, second = model(x).numpy(), model(x).numpy()
    assert np.abs(first - second).max() > 1e-3  # the state was carried over
    model.layers[1].reset_state()
    np.testing.assert_allclose(model(x), first, atol=FLOAT32)
    model.layers[1].reset_state()
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded(x), first, atol=FLOAT32)


@pytest.mark.parametrize("name", CELLS)
def test_configurations_make_the_layer_again(name):
    layer = make(name)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: LSTMP(4, projection=0),
            "projection: expected a whole number of at least 1, got 0",
        ),
        (lambda: GRU(-3), "units: expected a whole number of at least 1, got -3"),
        (
            lambda: SimpleRNN(3, activation="tan"),
            "expected tanh, sigmoid, relu, got 'tan'",
        ),
    ],
)
def test_wrong_arguments_are_told(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
