"""The kernels of recurrent products: which is taken, and that they agree."""

import numpy as np
import pytest
import tensorflow as tf

import pipeline.nnet.recurrent as layers
from pipeline.nnet.recurrent import products
from pipeline.nnet.recurrent.products import Factor, suited


@pytest.fixture
def both_kernels(monkeypatch):
    monkeypatch.setattr(products, "_has_both_kernels", lambda: True)


def operations(graph):
    """Types of all operations of a graph, those of its loops and branches too."""
    found = {operation.type for operation in graph.get_operations()}
    definition = graph.as_graph_def()
    for function in definition.library.function:
        found |= {node.op for node in function.node_def}
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 5, 16, 17, 40])
@pytest.mark.parametrize("known", [True, False])
def test_any_number_of_columns(count, known):
    rng = np.random.default_rng(count)
    matrix = rng.normal(size=(7, 5)).astype(np.float32)
    columns = rng.normal(size=(5, count)).astype(np.float32)
    spec = tf.TensorSpec([5, count if known else None], tf.float32)
    product = tf.function(
        lambda columns: Factor(tf.constant(matrix)) @ columns, input_signature=[spec]
    )
    np.testing.assert_allclose(product(columns), matrix @ columns, atol=1e-5)
    wanted = {"BatchMatMulV2"} if 1 < count <= 16 else {"MatMul"}
    if not known:
        wanted = {"BatchMatMulV2", "MatMul"}
    found = operations(product.get_concrete_function().graph)
    assert found & {"BatchMatMulV2", "MatMul"} == wanted


def test_what_is_suited(both_kernels):
    assert isinstance(suited(tf.zeros([4, 3])), Factor)
    for other in (tf.zeros([4, 1]), tf.zeros([4, 3], tf.float64)):
        assert suited(other) is other


def test_one_kernel_elsewhere(monkeypatch):
    monkeypatch.setattr(products, "_has_both_kernels", lambda: False)
    weight = tf.zeros([4, 3])
    assert suited(weight) is weight


@pytest.mark.parametrize(
    "flags, asked, devices, expected",
    [
        ("flags : fpu avx2 avx512f avx512dq", None, [], True),
        ("flags : fpu avx2 avx512f avx512dq", "0", [], False),
        ("flags : fpu avx2 avx512f avx512dq", None, ["GPU:0"], False),
        ("flags : fpu avx2", "1", [], False),
        (None, None, [], False),
    ],
)
def test_processors(tmp_path, monkeypatch, flags, asked, devices, expected):
    place = tmp_path / "cpuinfo"
    if flags is not None:
        place.write_text(flags + "\n")
    monkeypatch.setattr(products, "Path", lambda _: place)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if asked is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", asked)
    assert products._has_both_kernels.__wrapped__() is expected


@pytest.mark.parametrize("rows", [4, None])
def test_only_in_training(both_kernels, rows):
    layer = layers.LSTMP(6, projection=3, return_sequences=True)
    layer.build((rows, None, 5))
    spec = tf.TensorSpec([rows, None, 5], tf.float32)
    for training in (True, False):
        drawn = tf.function(lambda x, training=training: layer(x, training=training))
        found = operations(drawn.get_concrete_function(spec).graph)
        assert ("BatchMatMulV2" in found) is training


@pytest.mark.parametrize("name", ["LSTM", "LSTMP", "GRU", "LiGRU", "SimpleRNN"])
@pytest.mark.parametrize("known", [True, False])
def test_gradients_agree(monkeypatch, name, known):
    options = {"projection": 3} if name == "LSTMP" else {}
    layer = getattr(layers, name)(6, return_sequences=True, **options)
    layer.build((None, None, 5))
    x = np.random.default_rng(1).normal(size=(4, 9, 5)).astype(np.float32)
    found = []
    for both in (True, False):
        monkeypatch.setattr(products, "_has_both_kernels", lambda both=both: both)

        @tf.function(input_signature=[tf.TensorSpec([4 if known else None, 9, 5])])
        def gradients(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x, training=True) ** 2)
            weights = [variable.value for variable in layer.trainable_variables]
            return tape.gradient(loss, weights)

        found.append(gradients(x))
    for by_batch, by_matrix in zip(*found, strict=True):
        np.testing.assert_allclose(by_batch, by_matrix, rtol=1e-4, atol=1e-5)
