"""The network: shapes, padding, states, saving."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from features.errors import ConfigError
from pipeline.nnet.config import LayerOptions, NetworkOptions
from pipeline.nnet.network import AcousticModel, Block, make_recurrent

FLOAT32_SUM = 1e-5  # sums of some dozens of terms, in another order

STACKS = {
    "dense": [LayerOptions(type="dense", cells=7, activation="relu", repeat=2)],
    "rnn": [LayerOptions(type="rnn", cells=5, layer_norm=True)],
    "lstm": [LayerOptions(type="lstm", cells=5, residual="concat", repeat=2)],
    "lstmp": [
        LayerOptions(type="lstmp", cells=6, projection=4, residual="add", repeat=2)
    ],
    "gru": [LayerOptions(type="gru", cells=5, dropout=0.5)],
    "ligru": [LayerOptions(type="ligru", cells=5, options={"zoneout": 0.1})],
    "pgru": [LayerOptions(type="gru", cells=6, projection=3, bidirectional="concat")],
    "peepholes": [
        LayerOptions(
            type="lstmp",
            cells=6,
            projection=3,
            options={"peepholes": True, "nonrecurrent": 2, "recurrent_dropout": 0.2},
            residual="concat",
        )
    ],
    "blstmp": [LayerOptions(type="lstmp", cells=6, bidirectional="concat", repeat=2)],
    "bgru": [LayerOptions(type="gru", cells=5, bidirectional="sum", residual="add")],
    "highway": [
        LayerOptions(type="lstm", cells=5, residual="highway", repeat=2),
        LayerOptions(type="rnn", cells=5, options={"layer_norm": True}),
    ],
    "mixed": [
        LayerOptions(type="dense", cells=8, activation="relu"),
        LayerOptions(type="lstm", cells=5, bidirectional="concat", layer_norm=True),
        LayerOptions(type="rnn", cells=4, activation="relu"),
    ],
}


def build(name: str, seed: int = 1) -> AcousticModel:
    keras.utils.set_random_seed(seed)
    return AcousticModel.from_options(
        NetworkOptions(layers=STACKS[name]), input_dim=3, num_outputs=4
    )


def random_frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", STACKS)
def test_outputs_are_log_posteriors(name):
    outputs = build(name)(random_frames(2, 4, 3)).numpy()
    assert outputs.shape == (2, 4, 4)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(np.exp(outputs).sum(-1), 1.0, atol=FLOAT32_SUM)


@pytest.mark.parametrize("name", STACKS)
def test_padding_is_never_seen(name):
    model = build(name)
    frames = random_frames(3, 6, 3)
    lengths = [6, 3, 1]
    mask = np.arange(6) < np.array(lengths)[:, None]
    frames[~mask] = 1e3  # whatever stands there
    together = model(frames, mask=mask).numpy()
    for row, length in enumerate(lengths):
        alone = model(frames[row : row + 1, :length]).numpy()[0]
        np.testing.assert_allclose(together[row, :length], alone, atol=FLOAT32_SUM)


@pytest.mark.parametrize("name", ["rnn", "lstm", "lstmp", "gru"])
def test_chunks_with_carried_state_equal_the_whole(name):
    model = build(name)
    frames = random_frames(2, 5, 3)
    whole, end = model.run(frames)
    first, states = model.run(frames[:, :2])
    second, states = model.run(frames[:, 2:], states=states)
    joined = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(joined, whole, atol=FLOAT32_SUM)
    for a, b in zip(keras.tree.flatten(states), keras.tree.flatten(end), strict=True):
        np.testing.assert_allclose(a, b, atol=FLOAT32_SUM)


def test_a_highway_chooses_between_input_and_output():
    block = Block({"type": "dense", "cells": 3, "residual": "highway"})
    frames = random_frames(1, 4, 3)
    block.build(frames.shape)
    gate, layer = block.gate, block.layer
    share = 1 / (1 + np.exp(-(frames @ gate.kernel.numpy() - 1.0)))
    made = np.tanh(frames @ layer.kernel.numpy())
    expected = share * made + (1 - share) * frames
    np.testing.assert_allclose(block(frames)[0], expected, atol=FLOAT32_SUM)


def test_dropout_works_between_layers_and_in_training_only():
    model = build("gru")
    frames = random_frames(1, 6, 3)
    quiet = [model(frames, training=False).numpy() for _ in range(2)]
    noisy = [model(frames, training=True).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    assert np.abs(noisy[0] - noisy[1]).max() > 0.01
    for layer in model.blocks[0].layer._flatten_layers():
        assert not getattr(layer, "recurrent_dropout", 0.0)


@pytest.mark.parametrize("name", STACKS)
def test_weights_start_as_promised(name):
    for block in build(name).blocks:
        for layer in (block.layer, block.backward):
            if layer is None or not block.is_recurrent:
                continue
            for weight in layer.weights:
                if "recurrent_kernel" in weight.name:
                    kernel = weight.numpy()
                    small = min(kernel.shape)
                    square = (
                        kernel @ kernel.T
                        if small == kernel.shape[0]
                        else kernel.T @ kernel
                    )
                    np.testing.assert_allclose(square, np.eye(small), atol=1e-4)
                if weight.name == "bias" and block.options.type in ("lstm", "lstmp"):
                    assert np.sum(weight.numpy() == 1.0) == block.options.cells


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("lstm", {"implementation": "gpu"}, "expected auto, engine, cudnn, got 'gpu'"),
        (
            "gru",
            {"zoneout": "much"},
            "zoneout: expected at least 0 and less .*, got 'much'",
        ),
        ("rnn", {"implementation": "gpu"}, "expected auto, engine, cudnn, got 'gpu'"),
        ("rnn", {"peepholes": True}, "unknown; a layer of type rnn takes dropout"),
        ("lstmp", {"peephole": True}, "'peepholes'.* of type lstmp takes cell_clip"),
        ("lstm", {"peepholes": None}, "options.peepholes: expected True or False"),
        ("lstmp", {"nonrecurrent": 0}, "nonrecurrent: expected a whole number"),
        ("gru", {"layer_norm": True}, "layer_norm: .* give reset_after too"),
        ("dense", {"zoneout": 0.1}, "a dense layer has no options"),
    ],
)
def test_wrong_options_of_a_layer_are_told(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        LayerOptions(type=kind, cells=4, options=options)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "lstmp", "gru", "ligru"])
def test_an_implementation_is_handed_to_the_layers(kind):
    options = LayerOptions(type=kind, cells=4, options={"implementation": "engine"})
    assert make_recurrent(options, name="x").implementation == "engine: asked for"


FRESH = """
import gc, sys
gc.disable()  # a quicker import of TensorFlow
import numpy as np
import pipeline
import tensorflow as tf
model = tf.keras.models.load_model(sys.argv[1])
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
print(model.recipe["phones"])
"""


def test_a_saved_model_predicts_the_same_in_a_fresh_process(tmp_path):
    model = build("mixed")
    model.recipe = {"phones": ["sil", "a"]}
    frames = random_frames(2, 8, 3)
    np.save(tmp_path / "frames.npy", frames)
    model.save(tmp_path / "final.keras")
    arguments = [tmp_path / n for n in ("final.keras", "outputs.npy", "frames.npy")]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, arguments)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "['sil', 'a']" in done.stdout
    np.testing.assert_allclose(np.load(arguments[1]), model(frames), atol=FLOAT32_SUM)
