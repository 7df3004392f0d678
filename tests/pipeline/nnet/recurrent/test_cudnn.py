"""cuDNN beside the engine: packing, padding, reversal, states, gradients, and the choice.

Without a CUDA device an emulator stands in for the operation. It takes the vector of weights
apart by cuDNN's rules, gate by gate, refuses what cuDNN refuses, and leaves rubbish where
cuDNN promises nothing. With a device the same tests run on the real operation as well.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from features.errors import ConfigError
from pipeline.nnet.recurrent import (
    GRU,
    LSTM,
    LSTMP,
    LiGRU,
    SimpleRNN,
    implementation,
    use_implementation,
)

AGREE = 1e-4  # what is promised of outputs and gradients in float32
FLOAT64 = 1e-10
ROWS, FRAMES, INPUTS, UNITS = 4, 4, 3, 5
LENGTHS = np.array([4, 2, 0, 3])  # one row is all padding
MASK = np.arange(FRAMES) < LENGTHS[:, None]
HOLES = MASK & (np.arange(FRAMES) != 1)
X = np.random.default_rng(0).normal(size=(ROWS, FRAMES, INPUTS))
RUBBISH = 99.0

FAMILY = {
    "lstm": lambda **k: LSTM(UNITS, **k),
    "lstmp": lambda **k: LSTMP(UNITS, projection=2, **k),
    "gru": lambda **k: GRU(UNITS, reset_after=True, **k),
}
LACKING = {
    "SimpleRNNCell": lambda **k: SimpleRNN(4, **k),
    "LiGRUCell": lambda **k: LiGRU(4, **k),
    "peepholes": lambda **k: LSTM(4, peepholes=True, **k),
    "layer_norm": lambda **k: LSTM(4, layer_norm=True, **k),
    "cell_clip": lambda **k: LSTM(4, cell_clip=3.0, **k),
    "zoneout": lambda **k: LSTM(4, zoneout=0.1, **k),
    "recurrent_dropout": lambda **k: GRU(
        4, reset_after=True, recurrent_dropout=0.1, **k
    ),
    "forget_gate: false": lambda **k: LSTM(4, forget_gate=False, **k),
    "nonrecurrent": lambda **k: LSTMP(4, projection=2, nonrecurrent=2, **k),
    "projection_clip": lambda **k: LSTMP(4, projection=2, projection_clip=1.0, **k),
    "a projection as wide as the cells": lambda **k: LSTMP(4, projection=4, **k),
    "reset_after: false": lambda **k: GRU(4, **k),
    "projection": lambda **k: GRU(4, reset_after=True, projection=2, **k),
}


def blocks(params: tf.Tensor, shapes: list[tuple[int, ...]]) -> list[tf.Tensor]:
    """The vector cut into these shapes; nothing may be left over."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    assert sum(sizes) == params.shape[0], (sizes, params.shape)
    parts = tf.split(params, sizes)
    return [tf.reshape(*both) for both in zip(parts, shapes, strict=True)]


def emulated(  # the operation's signature, checked by its keywords
    *, input, input_h, input_c, params, sequence_lengths, rnn_mode, num_proj,
    is_training, time_major,
):  # fmt: skip
    """`CudnnRNNV3` by the equations that cuDNN's documents give, a frame at a time."""
    assert is_training and not time_major
    frames, width = input.shape[1:]
    tf.debugging.assert_positive(sequence_lengths)
    tf.debugging.assert_less_equal(sequence_lengths, frames)
    assert num_proj in (0, input_h.shape[2])
    hidden, fed = input_h[:, 0], input_h.shape[2]
    lstm = rnn_mode == "lstm"
    state = input_c[:, 0] if lstm else None
    units = state.shape[1] if lstm else fed
    gates = 4 if lstm else 3
    shapes = [(units, width)] * gates + [(units, fed)] * gates
    shapes += [(num_proj, units)] if num_proj else []
    parts = blocks(params, shapes + [(units,)] * 2 * gates)
    w, u = parts[:gates], parts[gates : 2 * gates]
    b, d = parts[-2 * gates : -gates], parts[-gates:]
    outputs = []
    for time in range(frames):
        x = input[:, time]
        of_x = [x @ tf.transpose(m) + v for m, v in zip(w, b, strict=True)]
        of_h = [hidden @ tf.transpose(m) + v for m, v in zip(u, d, strict=True)]
        if lstm:
            i, f, g, o = (p + q for p, q in zip(of_x, of_h, strict=True))
            new_state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
            new = tf.sigmoid(o) * tf.tanh(new_state)
            if num_proj:
                new = new @ tf.transpose(parts[2 * gates])
        else:
            reset, update = (tf.sigmoid(of_x[k] + of_h[k]) for k in (0, 1))
            candidate = tf.tanh(of_x[2] + reset * of_h[2])
            new = (1 - update) * candidate + update * hidden
        real = (time < sequence_lengths)[:, None]
        hidden = tf.where(real, new, hidden)
        if lstm:
            state = tf.where(real, new_state, state)
        outputs.append(tf.where(real, new, RUBBISH * tf.ones_like(new)))
    last = state[:, None] if lstm else tf.zeros([0], input.dtype)
    none = tf.zeros([0])
    return tf.stack(outputs, 1), hidden[:, None], last, none, none


@pytest.fixture
def emulator(monkeypatch):
    """A machine on which TensorFlow sees a CUDA device, whose cuDNN is the emulator."""
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", emulated)
    implementation._trial.cache_clear()
    yield
    implementation._trial.cache_clear()


@pytest.fixture
def device():
    """A real CUDA device, its products exact."""
    if not tf.config.get_visible_devices("GPU"):
        pytest.skip("no CUDA device: the operation itself cannot run here")
    exact = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(exact)


@pytest.fixture(params=["emulator", "device"])
def machine(request):
    """Every test of figures runs on the emulator, and on a device where there is one."""
    request.getfixturevalue(request.param)


def shuffled(make, **options):
    """A layer whose weights are nowhere zero."""
    layer = make(return_sequences=True, return_state=True, **options)
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    for weight in layer.trainable_variables:
        weight.assign(rng.uniform(-0.9, 1.1, size=weight.shape))
    return layer


def figures(layer, wish, *, mask, dtype="float32"):
    """Outputs, states, and all gradients of a loss over both."""
    x = X.copy()
    if mask is not None:
        x[~mask] = np.nan  # must never be seen
    x = tf.constant(x, dtype)
    rng = np.random.default_rng(2)
    first = [
        tf.constant(rng.uniform(-1, 1, (ROWS, size)), dtype)
        for size in layer.cell.state_size
    ]
    sources = [x, *first]
    with tf.GradientTape() as tape, use_implementation(wish):
        tape.watch(sources)
        outputs, *states = layer(x, mask=mask, initial_state=first, training=True)
        loss = tf.reduce_sum(tf.sin(3 * outputs))
        loss += sum(tf.reduce_sum(tf.cos(2 * s)) for s in states)
    weights = [weight.value for weight in layer.trainable_variables]
    return [outputs, *states, *tape.gradient(loss, [*sources, *weights])]


@pytest.mark.parametrize("cell", FAMILY)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
def test_outputs_states_and_gradients_are_the_engines(machine, cell, backwards, mask):
    layer = shuffled(FAMILY[cell], go_backwards=backwards)
    both = [figures(layer, wish, mask=mask) for wish in ("engine", "cudnn")]
    for ours, theirs in zip(*both, strict=True):
        assert np.isfinite(theirs).all()
        np.testing.assert_allclose(ours, theirs, atol=AGREE, rtol=AGREE)


@pytest.mark.parametrize("cell", FAMILY)
def test_in_float64_they_agree_to_ten_digits(machine, cell):
    layer = shuffled(FAMILY[cell], dtype="float64")
    both = [
        figures(layer, wish, mask=MASK, dtype="float64") for wish in ("engine", "cudnn")
    ]
    for ours, theirs in zip(*both, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=FLOAT64)


@pytest.mark.parametrize("cell", FAMILY)
def test_half_precision_is_close_to_the_engines(machine, cell):
    layer = shuffled(FAMILY[cell], dtype="mixed_float16")
    results = []
    for wish in ("engine", "cudnn"):
        with use_implementation(wish):
            results.append(layer(X.astype("float32"), mask=MASK))
    for ours, theirs in zip(*results, strict=True):
        assert theirs.dtype == tf.float16
        np.testing.assert_allclose(ours, theirs, atol=0.01)


@pytest.mark.parametrize("cell", FAMILY)
def test_both_directions_a_stack_and_states_carried_over(machine, cell):
    both = keras.layers.Bidirectional(FAMILY[cell](return_sequences=True))
    stateful = FAMILY[cell](stateful=True, zero_output_for_mask=True)
    results = []
    for wish in ("engine", "cudnn"):
        with use_implementation(wish):
            hidden = both(X.astype("float32"), mask=MASK)
            if stateful.built:
                stateful.reset_state()
            results.append([stateful(hidden, mask=MASK) for _ in range(2)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=AGREE)
    assert np.abs(results[0][0] - results[0][1]).max() > 1e-3  # it was carried


def test_dropped_inputs_are_dropped_for_cudnn_too(machine):
    layer = shuffled(FAMILY["lstm"], dropout=0.5)
    results = []
    for wish in ("engine", "cudnn"):
        layer.cell.seed_generator.state.assign([1, 2])
        results.append(figures(layer, wish, mask=MASK))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=AGREE, rtol=AGREE)


@pytest.mark.parametrize("cell", FAMILY)
def test_other_masks_and_no_frames_fall_back(machine, cell):
    layer = shuffled(FAMILY[cell])
    assert layer.implementation == "cudnn: there is a CUDA device"
    left = np.ascontiguousarray(MASK[:, ::-1])
    for mask in (HOLES, left):
        both = [figures(layer, wish, mask=mask) for wish in ("engine", "auto")]
        for ours, theirs in zip(*both, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert layer(np.zeros((0, FRAMES, INPUTS), "float32"))[0].shape[0] == 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="implementation: auto"):
        figures(layer, "cudnn", mask=HOLES)


def test_a_graph_chooses_by_the_mask_it_is_run_on(machine):
    layer = shuffled(FAMILY["lstmp"])
    x = tf.constant(X, tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, FRAMES], tf.bool)])
    def graph(mask):
        with tf.GradientTape() as tape:
            outputs, *states = layer(x, mask=mask, training=True)
            loss = tf.reduce_sum(tf.sin(outputs))
        weights = [weight.value for weight in layer.trainable_variables]
        return [outputs, *states, *tape.gradient(loss, weights)]

    for mask in (MASK, HOLES):  # a graph is drawn once and run on both
        with use_implementation("engine"):
            expected = graph.python_function(tf.constant(mask))
        for ours, theirs in zip(expected, graph(tf.constant(mask)), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=AGREE, rtol=AGREE)
    assert graph.experimental_get_tracing_count() == 1


def test_xla_gets_the_engine(emulator):
    layer = shuffled(FAMILY["gru"])
    assert not layer.supports_jit
    seen = []

    @tf.function(jit_compile=True)
    def compiled(x):
        seen.append(layer.implementation)
        return layer(x)

    x = tf.constant(X, tf.float32)
    np.testing.assert_allclose(compiled(x)[0], layer(x)[0], atol=AGREE)
    assert seen == ["engine: XLA compiles this graph and cannot call cuDNN"]


def nodes(graph):
    """A node of every kind in a graph and in the branches that it chooses from."""
    kinds = {node.type: node for node in graph.get_operations()}
    for name in ("then_branch", "else_branch"):
        for node in graph.get_operations():
            if node.type in ("If", "StatelessIf"):
                branch = graph._get_function(node.get_attr(name).name)
                kinds |= nodes(branch.graph)
    return kinds


@pytest.mark.parametrize("cell", FAMILY)
@pytest.mark.parametrize("masked", [False, True])
def test_the_operation_itself_takes_what_it_is_given(monkeypatch, cell, masked):
    """The graph that a device would run, with its gradient, as TensorFlow checks it."""
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(implementation, "_trial", lambda mode, projected: None)
    layer = shuffled(FAMILY[cell])

    signature = [
        tf.TensorSpec([None, None, INPUTS], tf.float32),
        tf.TensorSpec([None, None], tf.bool),
    ]

    @tf.function(input_signature=signature[: 1 + masked])
    def graph(x, mask=None):
        with tf.GradientTape() as tape:
            outputs, *states = layer(x, mask=mask)
            loss = tf.reduce_sum(outputs) + tf.reduce_sum(states[-1])
        weights = [weight.value for weight in layer.trainable_variables]
        return [outputs, *states, *tape.gradient(loss, weights)]

    traced = graph.get_concrete_function()
    kinds = nodes(traced.graph)
    width = layer.cell.output_size
    for kind in ("CudnnRNNV3", "CudnnRNNBackpropV3"):
        assert kinds[kind].get_attr("num_proj") == (width if cell == "lstmp" else 0)
        assert kinds[kind].get_attr("rnn_mode") == (
            b"gru" if cell == "gru" else b"lstm"
        )
    assert traced.output_shapes[0].as_list() == [None, None, width]


@pytest.mark.parametrize("option", LACKING)
def test_what_cudnn_lacks_is_named(emulator, option):
    layer = LACKING[option]()
    assert layer.implementation == f"engine: {option} is not in cuDNN"
    with pytest.raises(ConfigError, match=f"cudnn has no {option}; take auto"):
        LACKING[option](implementation="cudnn")


def test_without_a_device_the_engine_runs_and_says_so():
    layer = LSTM(4)
    if not tf.config.get_visible_devices("GPU"):
        assert layer.implementation == "engine: no CUDA device"
        others = {make().implementation for make in LACKING.values()}
        assert others == {"engine: no CUDA device"}
        with pytest.raises(ConfigError, match="had .no CUDA device.; take auto"):
            LSTM(4, implementation="cudnn")(X)
    assert LSTM(4, implementation="engine").implementation == "engine: asked for"
    with use_implementation("engine"):
        assert layer.implementation == "engine: asked for"
        LSTM(4, implementation="cudnn")(X)
    with pytest.raises(ConfigError, match="expected auto, engine, cudnn, got 'gpu'"):
        LSTM(4, implementation="gpu")


def test_a_model_of_a_machine_with_a_device_loads_without_one(emulator, tmp_path):
    model = keras.Sequential(
        [keras.Input((FRAMES, INPUTS)), LSTM(4, return_sequences=True), GRU(3)]
    )
    wished = LSTM(4, implementation="cudnn").get_config()["implementation"]
    assert wished == "cudnn"
    x = X.astype("float32")
    outputs = model(x)
    assert model.layers[0].implementation.startswith("cudnn")
    model.save(tmp_path / "m.keras")
    implementation._trial.cache_clear()
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setattr(tf.config, "get_visible_devices", lambda kind: [])
        loaded = keras.models.load_model(tmp_path / "m.keras")
        assert loaded.layers[0].implementation == "engine: no CUDA device"
        np.testing.assert_allclose(loaded(x), outputs, atol=AGREE)


def test_another_order_of_the_weights_is_found_out(emulator, monkeypatch):
    def other(params, **arguments):
        return emulated(params=tf.reverse(params, [0]), **arguments)

    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", other)
    assert "this cuDNN gives other figures" in LSTM(4).implementation


def test_a_device_without_its_library_is_found_out(emulator, monkeypatch):
    def broken(**arguments):
        raise tf.errors.UnimplementedError(None, None, "DNN library is not found.")

    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", broken)
    expected = "engine: cuDNN does not run here (DNN library is not found.)"
    assert LSTMP(4, projection=2).implementation == expected
