"""Keras's conventions, held by every cell: policies, states, wrappers, models, files."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.nnet.recurrent import GRU, LSTM, LSTMP, LiGRU, SimpleRNN, chunks

FLOAT32 = 1e-5
HALF = {"mixed_float16": 0.03, "mixed_bfloat16": 0.1}  # 11 and 8 bits of mantissa, sums
ROWS, FRAMES, INPUTS = 2, 4, 3
X = np.random.default_rng(0).normal(size=(ROWS, FRAMES, INPUTS)).astype(np.float32)
LENGTHS = (4, 2)
MASK = np.arange(FRAMES) < np.array(LENGTHS)[:, None]

FAMILY = {
    "rnn": lambda **k: SimpleRNN(4, **k),
    "rnn-relu": lambda **k: SimpleRNN(4, activation="relu", **k),
    "rnn-norm": lambda **k: SimpleRNN(4, layer_norm=True, **k),
    "1997": lambda **k: LSTM(4, forget_gate=False, **k),
    "lstm": lambda **k: LSTM(4, **k),
    "peepholes": lambda **k: LSTM(4, peepholes=True, cell_clip=0.5, **k),
    "normed": lambda **k: LSTM(4, layer_norm=True, **k),
    "lstmp": lambda **k: LSTMP(4, projection=2, **k),
    "nonrecurrent": lambda **k: LSTMP(4, projection=2, nonrecurrent=3, **k),
    "gru": lambda **k: GRU(4, **k),
    "gru-after": lambda **k: GRU(4, reset_after=True, **k),
    "gru-norm": lambda **k: GRU(4, reset_after=True, layer_norm=True, **k),
    "gru-projected": lambda **k: GRU(4, projection=2, **k),
    "ligru": lambda **k: LiGRU(4, **k),
}
every_cell = pytest.mark.parametrize("cell", FAMILY)


@pytest.fixture(autouse=True)
def seeded():
    """The same weights in every order of the tests."""
    keras.utils.set_random_seed(3)


N, F, P, Q = 4, INPUTS, 2, 3
PARAMETERS = {  # as the table of pipeline/nnet/README.md has them
    "rnn": N * (F + N + 1),
    "rnn-relu": N * (F + N + 1),
    "rnn-norm": N * (F + N + 1) + N,
    "1997": 3 * N * (F + N + 1),
    "lstm": 4 * N * (F + N + 1),
    "peepholes": 4 * N * (F + N + 1) + 3 * N,
    "normed": 4 * N * (F + N + 1) + 10 * N,
    "lstmp": 4 * N * (F + P + 1) + N * P,
    "nonrecurrent": 4 * N * (F + P + 1) + N * P + N * Q,
    "gru": 3 * N * (F + N + 1),
    "gru-after": 3 * N * (F + N + 1) + N,
    "gru-norm": 3 * N * (F + N + 1) + N + 6 * N,
    "gru-projected": (2 * N + P) * (F + P + 1) + N * P,
    "ligru": 2 * N * (F + N) + 4 * N,
}


@every_cell
def test_parameters_are_as_many_as_the_table_says(cell):
    layer = FAMILY[cell]()
    layer.build(X.shape)
    assert sum(w.numpy().size for w in layer.trainable_weights) == PARAMETERS[cell]


def test_a_reset_gate_after_the_product_is_as_wide_as_the_cells():
    layer = GRU(N, projection=P, reset_after=True)
    layer.build(X.shape)
    count = sum(w.numpy().size for w in layer.trainable_weights)
    assert count == 3 * N * (F + P + 1) + N + N * P  # the table's other one


RULED = {  # weights by what their regularizer and constraint are called after
    "kernel": ("kernel", "projection_kernel"),
    "recurrent": ("recurrent_kernel",),
    "bias": ("bias", "recurrent_bias"),
}


@pytest.mark.parametrize("cell", ["rnn", "lstm", "lstmp", "gru-after", "gru-projected"])
def test_regularizers_and_constraints_hold(cell):
    penalties = {"kernel": 0.1, "recurrent": 0.2, "bias": 0.3}
    options = {
        f"{r}_regularizer": keras.regularizers.L2(p) for r, p in penalties.items()
    }
    options |= {f"{r}_constraint": keras.constraints.MaxNorm(0.5) for r in penalties}
    first = FAMILY[cell](bias_initializer="ones", **options)
    layer = type(first).from_config(first.get_config())
    model = keras.Sequential([keras.Input((None, INPUTS)), layer])
    weights = {
        rules: [
            getattr(layer.cell, name) for name in names if hasattr(layer.cell, name)
        ]
        for rules, names in RULED.items()
    }
    expected = sum(
        penalties[rules] * np.square(weight.numpy()).sum()
        for rules, some in weights.items()
        for weight in some
    )
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    model.compile("sgd", "mse", jit_compile=False)  # XLA takes longer to compile it
    model.fit(X, np.ones((ROWS, layer.cell.output_size)), verbose=0)
    for weight in sum(weights.values(), []):
        norms = np.sqrt(np.square(weight.numpy()).sum(axis=0))
        assert (norms <= 0.5 + 1e-5).all()


@functools.cache
def figures_in(cell: str, dtype: str) -> list[tf.Tensor]:
    """Outputs, states and gradients under a policy, as float32."""
    keras.utils.set_random_seed(3)
    layer = FAMILY[cell](return_sequences=True, return_state=True, dtype=dtype)
    layer.build(X.shape)
    with tf.GradientTape() as tape:
        outputs, *states = layer(X, mask=MASK, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") * MASK[..., None])
    weights = layer.trainable_variables
    assert {w.dtype for w in weights} == {"float32"}
    assert {s.dtype.name for s in (outputs, *states)} == {layer.compute_dtype}
    gradients = tape.gradient(loss, [w.value for w in weights])
    return [tf.cast(t, "float32") for t in (outputs, *states, *gradients)]


@every_cell
@pytest.mark.parametrize("policy", HALF)
def test_half_precision_is_close_to_whole(cell, policy):
    both = figures_in(cell, policy), figures_in(cell, "float32")
    for half, whole in zip(*both, strict=True):
        scale = max(1.0, float(tf.reduce_max(tf.abs(whole))))
        np.testing.assert_allclose(half, whole, atol=HALF[policy] * scale)


@every_cell
def test_a_stateful_layer_goes_on_where_it_was(cell):
    layer = FAMILY[cell](return_sequences=True, stateful=True)
    halves = [layer(X[:, :3]), layer(X[:, 3:])]
    layer.reset_state()
    np.testing.assert_allclose(np.concatenate(halves, 1), layer(X), atol=FLOAT32)


@every_cell
def test_the_states_returned_start_another_call(cell):
    layer = FAMILY[cell](return_state=True)
    last, *states = layer(X)
    np.testing.assert_array_equal(last, states[0])
    assert [s.shape[1] for s in states] == layer.cell.state_size
    _, *early = layer(X[:, :2])
    again, *_ = layer(X[:, 2:], initial_state=early)
    np.testing.assert_allclose(again, last, atol=FLOAT32)


@pytest.mark.parametrize(
    ("cell", "joined"), [*[(cell, "concat") for cell in FAMILY], ("lstmp", "sum")]
)
def test_bidirectional_hears_no_padding(cell, joined):
    both = keras.layers.Bidirectional(
        FAMILY[cell](return_sequences=True), merge_mode=joined
    )
    outputs = both(X, mask=MASK).numpy()
    there = both.forward_layer(X, mask=MASK).numpy()
    for row, length in enumerate(LENGTHS):
        alone = X[row : row + 1, :length]
        back = both.backward_layer(alone)[:, ::-1].numpy()
        sides = (there[row, :length], back[0])
        expected = sum(sides) if joined == "sum" else np.concatenate(sides, -1)
        np.testing.assert_allclose(outputs[row, :length], expected, atol=FLOAT32)


@every_cell
def test_time_distributed_runs_each_part_alone(cell):
    layer = FAMILY[cell]()
    parts = np.stack([X, X[:, ::-1]], 1)  # [B, 2, T, F]
    outputs = keras.layers.TimeDistributed(layer)(parts)
    for part in range(2):
        np.testing.assert_allclose(
            outputs[:, part], layer(parts[:, part]), atol=FLOAT32
        )


class Subclassed(keras.Model):
    """A layer in a model written as a class."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__()
        self.layer = layer

    def call(self, inputs, training=False):
        return self.layer(inputs, training=training)


@every_cell
def test_functional_and_subclassed_models_say_the_same(cell):
    layer = FAMILY[cell](return_sequences=True)
    inputs = keras.Input((None, INPUTS))
    functional = keras.Model(inputs, layer(inputs))
    assert functional.output_shape == (None, None, layer.cell.output_size)
    np.testing.assert_array_equal(functional(X), Subclassed(layer)(X))


def test_a_subclassed_model_is_fitted():
    model = Subclassed(LSTMP(4, projection=2, return_sequences=True))
    model.compile("adam", "mse", run_eagerly=True)
    target = np.zeros((ROWS, FRAMES, 2), np.float32)
    losses = [float(model.train_on_batch(X, target)) for _ in range(3)]
    assert losses[2] < losses[0]


@pytest.fixture(scope="module")
def whole_family() -> keras.Model:
    """One model with every cell beside the others, after masking."""
    inputs = keras.Input((None, INPUTS))
    masked = keras.layers.Masking(0.0)(inputs)
    outputs = [
        make(return_sequences=True, name=name)(masked) for name, make in FAMILY.items()
    ]
    return keras.Model(inputs, outputs)


def padded() -> np.ndarray:
    """X with noughts, which masking takes for padding."""
    return np.where(MASK[..., None], X, 0)


def agree(ours, theirs) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT32)


def test_a_keras_file_holds_the_family(whole_family, tmp_path):
    whole_family.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    agree(loaded(padded()), whole_family(padded()))


def test_a_saved_model_holds_the_family(whole_family, tmp_path):
    whole_family.export(
        tmp_path / "m", verbose=False,
        input_signature=[tf.TensorSpec([None, None, INPUTS], tf.float32)],
    )  # fmt: skip
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    agree(loaded.serve(padded()), whole_family(padded()))


@pytest.mark.parametrize(
    ("cell", "rows"), [("rnn", None), ("lstmp", None), ("gru", None), ("rnn", ROWS)]
)
def test_xla_takes_a_shape_that_the_graph_does_not_know(cell, rows, monkeypatch):
    monkeypatch.setattr(chunks, "COLUMNS", 30 * ROWS)
    frames = 45  # two chunks, the second filled up
    layer = FAMILY[cell](return_sequences=True)
    layer.build(X.shape)
    x = np.random.default_rng(1).normal(size=(ROWS, frames, INPUTS))
    x = x.astype(np.float32)

    def figures(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(outputs**2)
        weights = [w.value for w in layer.trainable_variables]
        return [outputs, *tape.gradient(loss, [x, *weights])]

    signature = [tf.TensorSpec([rows, None, INPUTS], tf.float32)]
    compiled = tf.function(figures, input_signature=signature, jit_compile=True)
    for a, b in zip(compiled(x), figures(tf.constant(x)), strict=True):
        np.testing.assert_allclose(a, b, atol=10 * FLOAT32)  # sums of 45 frames
