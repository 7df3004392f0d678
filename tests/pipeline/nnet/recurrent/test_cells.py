"""Every cell: forward against NumPy, gradient against automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent import GRU, LSTM, LSTMP, LiGRU, SimpleRNN, chunks
from pipeline.nnet.recurrent.engine import run
from pipeline.nnet.recurrent.protocol import Sequences

FLOAT64 = 1e-9
FLOAT32 = 1e-5
BATCH, FRAMES, INPUTS, UNITS = 3, 5, 4, 5
LENGTHS = np.array([5, 3, 0])  # a full row, a padded one, one that is all padding
MASK = np.arange(FRAMES) < LENGTHS[:, None]

CELLS = {
    "rnn-tanh": (SimpleRNN, {}),
    "rnn-sigmoid": (SimpleRNN, {"activation": "sigmoid"}),
    "rnn-relu": (SimpleRNN, {"activation": "relu"}),
    "rnn-norm": (SimpleRNN, {"layer_norm": True}),
    "lstm": (LSTM, {}),
    "lstm-1997": (LSTM, {"forget_gate": False}),
    "lstm-peepholes": (LSTM, {"peepholes": True}),
    "lstm-clipped": (LSTM, {"cell_clip": 0.3}),
    "lstm-norm": (LSTM, {"layer_norm": True}),
    "lstmp": (LSTMP, {"projection": 3}),
    "lstmp-nonrecurrent": (LSTMP, {"projection": 3, "nonrecurrent": 2}),
    "lstmp-1997-peepholes": (
        LSTMP,
        {"projection": 3, "forget_gate": False, "peepholes": True},
    ),
    "lstmp-all": (
        LSTMP,
        {
            "projection": 3,
            "nonrecurrent": 2,
            "peepholes": True,
            "layer_norm": True,
            "cell_clip": 0.9,
            "projection_clip": 0.4,
        },
    ),
    "gru": (GRU, {}),
    "gru-after": (GRU, {"reset_after": True}),
    "gru-norm": (GRU, {"reset_after": True, "layer_norm": True, "projection": 3}),
    "gru-projected": (GRU, {"projection": 3}),
    "gru-after-projected": (GRU, {"reset_after": True, "projection": 3}),
    "ligru": (LiGRU, {}),
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


def randomize(layer) -> None:
    """Weights that start at zero or one would hide what they do."""
    layer.build((BATCH, FRAMES, INPUTS))
    rng = np.random.default_rng(11)
    for weight in layer.cell.weights:
        if weight.name != "seed_generator_state":
            low = 0.5 if "variance" in weight.name or "gain" in weight.name else -0.8
            weight.assign(rng.uniform(low, 1.0, size=weight.shape))


def standardized(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / np.sqrt(values.var() + 1e-5)


def lstm_oracle(weights: dict[str, np.ndarray], options: dict, x: np.ndarray):
    """The equations of `LSTMPCell`, gate by gate."""
    n, w = UNITS, weights
    names = "ifgo" if options.get("forget_gate", True) else "igo"
    block = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(names)}
    peep = dict.fromkeys("ifo", np.zeros(n))
    if options.get("peepholes"):
        peep |= dict(zip(names.replace("g", ""), w["peephole_kernel"], strict=True))
    fed = w["recurrent_kernel"].shape[0]
    y = np.zeros(fed + (options.get("nonrecurrent") or 0))
    c = np.zeros(n)
    for frame in x:
        of_input, of_state = frame @ w["kernel"], y[:fed] @ w["recurrent_kernel"]
        if options.get("layer_norm"):
            of_input = w["input_gain"] * standardized(of_input)
            of_state = w["recurrent_gain"] * standardized(of_state)
        a = of_input + of_state + w["bias"]
        i = sigmoid(a[block["i"]] + peep["i"] * c)
        f = sigmoid(a[block["f"]] + peep["f"] * c) if "f" in names else 1.0
        c = f * c + i * np.tanh(a[block["g"]])
        c = np.clip(
            c, -options.get("cell_clip", np.inf), options.get("cell_clip", np.inf)
        )
        o = sigmoid(a[block["o"]] + peep["o"] * c)
        seen = c
        if options.get("layer_norm"):
            seen = w["cell_gain"] * standardized(c) + w["cell_bias"]
        y = o * np.tanh(seen)
        if "projection" in options:
            y = y @ w["projection_kernel"]
        bound = options.get("projection_clip", np.inf)
        y = np.clip(y, -bound, bound)
        yield y


def gru_oracle(weights: dict[str, np.ndarray], options: dict, x: np.ndarray):
    """The equations of `GRUCell`, gate by gate."""
    n, u, after = UNITS, weights["recurrent_kernel"], options.get("reset_after")
    end = u.shape[1] - n  # of the gates
    h, s = np.zeros(n), np.zeros(u.shape[0])

    def normed(product: np.ndarray, gain: str) -> np.ndarray:
        if not options.get("layer_norm"):
            return product
        parts = standardized(product[:end]), standardized(product[end:])
        return weights[gain] * np.concatenate(parts)

    for frame in x:
        a = normed(frame @ weights["kernel"], "input_gain") + weights["bias"]
        fed_back = normed(s @ u, "recurrent_gain")
        update = sigmoid(a[:n] + fed_back[:n])
        reset = sigmoid(a[n:end] + fed_back[n:end])
        if after:
            inner = reset * (fed_back[end:] + weights["recurrent_bias"])
        else:
            inner = (reset * s) @ u[:, end:]
        h = (1 - update) * h + update * np.tanh(a[end:] + inner)
        s = h @ weights["projection_kernel"] if "projection" in options else h
        yield s


def ligru_oracle(weights: dict[str, np.ndarray], options: dict, x: np.ndarray):
    """The equations of `LiGRUCell` with the statistics of inference."""
    n, u, h = UNITS, weights["recurrent_kernel"], np.zeros(UNITS)
    scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + 1e-3)
    for frame in x:
        a = (frame @ weights["kernel"] - weights["moving_mean"]) * scale
        a += weights["beta"]
        keep = sigmoid(a[:n] + h @ u[:, :n])
        h = keep * h + (1 - keep) * np.maximum(a[n:] + h @ u[:, n:], 0)
        yield h


def rnn_oracle(weights: dict[str, np.ndarray], options: dict, x: np.ndarray):
    """The equation of `SimpleRNNCell`."""
    act = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda v: np.maximum(v, 0)}
    h = np.zeros(UNITS)
    for frame in x:
        a = frame @ weights["kernel"] + h @ weights["recurrent_kernel"]
        if options.get("layer_norm"):
            a = weights["gain"] * standardized(a)
        h = act[options.get("activation", "tanh")](a + weights["bias"])
        yield h


ORACLES = {
    "rnn": rnn_oracle,
    "lstm": lstm_oracle,
    "lstmp": lstm_oracle,
    "gru": gru_oracle,
    "ligru": ligru_oracle,
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_forward_pass_is_the_equation(name, training):
    layer = make(name)
    randomize(layer)
    weights = {w.name: w.numpy() for w in layer.cell.weights}
    x = inputs()
    training = training and name != "ligru"  # whose statistics would be the batch's
    outputs = layer(x, training=training)[0].numpy()
    oracle = ORACLES[name.split("-")[0]]
    for row in range(BATCH):
        expected = list(oracle(weights, CELLS[name][1], x[row].numpy()))
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
        outputs, *states = layer(x, mask=mask, initial_state=state, training=True)
        loss = tf.reduce_sum(tf.sin(3 * outputs) * weight)
        loss += sum(tf.reduce_sum(tf.cos(2 * s)) for s in states)
    gradients = tape.gradient(loss, [*sources, *variables])
    return [outputs * weight, *states, *gradients]


def engine_gradients(name: str, dtype: str, *, keep: bool, noise: bool, masked: bool):
    """Value and gradients of the engine, by hand (`keep`) or by TensorFlow."""
    layer = make(name, dtype)
    randomize(layer)
    cell, rng = layer.cell, np.random.default_rng(5)

    def random(*shape: int) -> tf.Tensor:
        return tf.constant(rng.uniform(-1, 1, size=shape), dtype)

    first = [random(BATCH, size) for size in cell.state_size]
    holds, constants = [], []
    if noise:
        holds = [
            tf.cast(random(BATCH, FRAMES, size) > 0.4, dtype)
            for size in cell.state_size
        ]
        constants = [1.5 * tf.cast(random(BATCH, cell.recurrent_size) > -0.3, dtype)]
    mask = tf.constant(MASK) if masked else None
    x = inputs(dtype)
    with tf.GradientTape() as tape:
        tape.watch([x, *first])
        products, weights = cell.prepare(x, mask, False)
        outputs, states = run(
            cell, Sequences(products, first, mask, holds, constants), weights, keep=keep
        )
        weight = 1.0 if mask is None else tf.cast(mask[..., None], dtype)
        loss = tf.reduce_sum(tf.sin(3 * outputs) * weight)
        loss += sum(tf.reduce_sum(tf.cos(2 * state)) for state in states)
    gradients = tape.gradient(loss, [x, *first, *cell.trainable_variables])
    return [outputs, *states, *gradients]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    ("noise", "masked", "dtype", "tolerance"),
    [
        (False, False, "float64", FLOAT64),
        (True, True, "float64", FLOAT64),
        (False, True, "float32", FLOAT32),
    ],
)
def test_the_gradient_is_that_of_automatic_differentiation(
    name, noise, masked, dtype, tolerance
):
    ours = engine_gradients(name, dtype, keep=True, noise=noise, masked=masked)
    theirs = engine_gradients(name, dtype, keep=False, noise=noise, masked=masked)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance)


def test_second_derivatives_are_those_of_automatic_differentiation():
    layer = make("lstmp-1997-peepholes", return_state=False)
    randomize(layer)
    weights = [w.value for w in layer.trainable_variables]

    def second(training: bool) -> list[tf.Tensor]:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(inputs(), mask=MASK, training=training) ** 2)
            first = tape.gradient(loss, weights)
            size = tf.add_n([tf.reduce_sum(g * g) for g in first])
        return outer.gradient(size, weights)

    for a, b in zip(second(training=True), second(training=False), strict=True):
        np.testing.assert_allclose(a, b, rtol=FLOAT64, atol=FLOAT64)


@pytest.mark.parametrize("name", CELLS)
def test_keras_runs_the_cell_a_frame_at_a_time(name):
    engine = make(name, go_backwards=True)
    randomize(engine)
    plain = keras.layers.RNN(
        engine.cell, return_sequences=True, return_state=True,
        go_backwards=True, dtype="float64",
    )  # fmt: skip
    for a, b in zip(
        engine(inputs(), mask=MASK), plain(inputs(), mask=MASK), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=FLOAT64)


def test_a_loop_over_a_cell_begins_with_its_zeros():
    layer = make("gru", return_sequences=False, return_state=False)
    frames, states = inputs(), layer.cell.get_initial_state(batch_size=BATCH)
    for frame in range(FRAMES):
        output, [states] = layer.cell(frames[:, frame], states)
    np.testing.assert_allclose(output, layer(frames), atol=FLOAT64)


@pytest.mark.parametrize(
    ("frames", "known"), [(24, False), (29, True)]  # whole chunks; a last one filled up
)
def test_long_sequences_and_shards_give_the_same(frames, known, monkeypatch):
    monkeypatch.setattr(chunks, "COLUMNS", 20)  # 4 frames of 5 rows, 10 of 2
    keras.utils.set_random_seed(3)
    layer = LSTMP(6, projection=4, dtype="float64")
    x = tf.constant(np.random.default_rng(4).normal(size=(5, frames, INPUTS)))
    layer.build(x.shape)
    mask = tf.sequence_mask([frames, 3, 4, 0, 5], frames)

    def figures(length: int | None, shards: int) -> list[tf.Tensor]:
        @tf.function(
            input_signature=[tf.TensorSpec([None, length, INPUTS], tf.float64)]
        )
        def apply(x: tf.Tensor) -> list[tf.Tensor]:
            first = [tf.zeros([tf.shape(x)[0], n], x.dtype) for n in (4, 6)]
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs, states = run(
                    layer.cell,
                    Sequences(x, first, mask),
                    layer.cell.columns(),
                    shards=shards,
                )
                loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(states[1])
            weights = layer.cell.trainable_variables
            return [outputs, *tape.gradient(loss, [x, *weights])]

        return apply(x)

    whole = figures(frames, 1)
    for row in range(5):
        end = int(tf.reduce_sum(tf.cast(mask[row], tf.int32)))
        if end:
            alone = layer(x[row : row + 1, :end])
            np.testing.assert_allclose(whole[0][row, end - 1], alone[0], atol=FLOAT64)
    for a, b in zip(whole, figures(frames if known else None, 2), strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT64)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("backwards", [False, True])
def test_padding_is_never_seen(name, backwards):
    layer = make(name, go_backwards=backwards)
    randomize(layer)
    x = inputs().numpy()
    x[~MASK] = np.nan
    outputs, *states = layer(x, mask=MASK, training=name != "ligru")
    assert np.isfinite(outputs).all()
    for row, length in enumerate(LENGTHS[:2]):
        alone, *ends = layer(x[row : row + 1, :length])
        real = outputs[row, -length:] if backwards else outputs[row, :length]
        np.testing.assert_allclose(real, alone[0], atol=FLOAT64)
        for state, end in zip(states, ends, strict=True):
            np.testing.assert_allclose(state[row], end[0], atol=FLOAT64)
    for state in states:
        assert (state[2].numpy() == 0).all()


def test_batch_norm_counts_no_padding():
    layer, again = (make("ligru", dtype="float32") for _ in range(2))
    x = inputs("float32").numpy()
    layer(x, mask=MASK, training=True)
    x[~MASK] = 9.0
    again(x, mask=MASK, training=True)
    for a, b in zip(layer.cell.norm.weights, again.cell.norm.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    real = x[MASK] @ layer.cell.kernel.numpy()
    moved = layer.cell.norm.moving_mean.numpy()
    np.testing.assert_allclose(moved, 0.01 * real.mean(0), atol=FLOAT32)


def test_a_frozen_batch_norm_comes_back_frozen(tmp_path):
    model = keras.Sequential([keras.Input((None, INPUTS)), LiGRU(UNITS)])
    model.trainable = False
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = inputs("float32")
    np.testing.assert_array_equal(again(x, training=True), model(x))
    for a, b in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_variational_dropout_drops_the_same_units_all_along():
    layer = LSTM(UNITS, return_sequences=True, dropout=0.5)
    x = np.ones((400, FRAMES, INPUTS), np.float32)
    dropped = layer.cell.drop_inputs(tf.constant(x), True).numpy()
    assert (dropped == dropped[:, :1]).all()
    assert abs((dropped == 0).mean() - 0.5) < 0.05
    assert dropped.max() == 2.0
    (constant,) = LSTM(UNITS, recurrent_dropout=0.5).cell.constants(
        400, "float32", True
    )
    assert abs(float(tf.reduce_mean(constant)) - 1.0) < 0.1


def test_zoneout_keeps_units_in_training_and_their_mean_otherwise():
    layer = LSTM(40, zoneout=0.3, return_sequences=True, return_state=True)
    x = np.random.default_rng(0).normal(size=(64, 6, INPUTS)).astype(np.float32)
    outputs, *_ = layer(x, training=True)
    kept = np.isclose(outputs[:, 1:], outputs[:, :-1], atol=1e-7).mean()
    assert abs(kept - 0.3) < 0.02
    sure = LSTM(40, return_sequences=True, return_state=True)
    sure.build(x.shape)
    sure.set_weights([w for w in layer.get_weights() if w.dtype != np.uint32])
    mean, *_ = layer(x[:, :1])
    plain, *_ = sure(x[:, :1])
    np.testing.assert_allclose(mean, 0.7 * plain, atol=FLOAT32)


@pytest.mark.parametrize("option", ["dropout", "recurrent_dropout"])
def test_a_cell_in_keras_loop_refuses_dropout_that_would_change(option):
    layer = keras.layers.RNN(LSTM(UNITS, **{option: 0.2}).cell)
    with pytest.raises(ConfigError, match="use the layer of this cell"):
        layer(inputs("float32"), training=True)


# By the graphs of rnn-norm, lstmp-all, gru-projected and gru-norm, which have these options
# and more. XLA compiles the plain ones in test_conventions.
COVERED = {
    "rnn-tanh",
    "rnn-sigmoid",
    "rnn-relu",
    "lstmp",
    "gru",
    "gru-after",
    "lstm-peepholes",
    "lstm-clipped",
    "lstm-norm",
    "lstmp-nonrecurrent",
    "lstmp-1997-peepholes",
    "gru-after-projected",
}


@pytest.mark.parametrize("name", [name for name in CELLS if name not in COVERED])
def test_xla_gives_the_same(name):
    layer = make(name, dtype="float32")
    x = inputs("float32")
    plain = value_and_gradients(layer, x, MASK, None)
    compiled = tf.function(
        lambda v: value_and_gradients(layer, v, MASK, None), jit_compile=True
    )(x)
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT32, rtol=FLOAT32)


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
        (lambda: GRU(3, layer_norm=True), "give reset_after too"),
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
