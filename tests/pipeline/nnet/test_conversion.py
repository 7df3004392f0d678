"""Models in other formats say what the Keras model says."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from features.errors import ConfigError, DataError
from features.frontend import FrontendOptions
from features.spectral import FeatureOptions
from pipeline.nnet import plain
from pipeline.nnet.artefact import (
    Description,
    OnnxModel,
    TfliteModel,
    parse_description,
    read_companions,
)
from pipeline.nnet.config import LayerOptions
from pipeline.nnet.conversion import write_onnx, write_saved_model, write_tflite
from pipeline.nnet.network import AcousticModel
from pipeline.nnet.plain import PlainNetwork
from pipeline.nnet.recipe import Recipe
from pipeline.nnet.recurrent import implementation
from pipeline.nnet.runtime import describe
from pipeline.nnet.waveform import WaveformModel

LOG_SUM = (
    2e-3  # log-posteriors through a front end and two layers, summed in another order
)

STACKS = {
    "dense": [LayerOptions(type="dense", cells=7, activation="relu")],
    "rnn": [LayerOptions(type="rnn", cells=5, layer_norm=True)],
    "lstm": [LayerOptions(type="lstm", cells=5, residual="concat")] * 2,
    "lstmp": [LayerOptions(type="lstmp", cells=6, projection=4, residual="add")] * 2,
    "gru": [LayerOptions(type="gru", cells=5, dropout=0.5)],
    "blstmp": [LayerOptions(type="lstmp", cells=6, bidirectional="concat")] * 2,
    "bgru": [LayerOptions(type="gru", cells=5, bidirectional="sum", residual="add")],
}


def make(name: str, *, delay: int = 0) -> AcousticModel:
    keras.utils.set_random_seed(1)
    features, frontend = FeatureOptions(num_mels=6), FrontendOptions(stack=2, skip=2)
    recipe = Recipe(
        phones=["sil", "a", "b"],
        features=features,
        frontend=frontend,
        objective="framewise",
        states=1,
        label_delay=delay,
        log_priors=[-1.0, -1.0, -1.0],
        global_cmvn=None,
    )
    layers = [vars(options) for options in STACKS[name]]
    return AcousticModel(layers, 12, 3, recipe=recipe.to_values())


def test_a_saved_model_made_beside_a_device_runs_without_one(monkeypatch, tmp_path):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(implementation, "_trial", lambda mode, projected: None)
    model = WaveformModel.around(make("blstmp"))
    assert model.network.blocks[0].layer.implementation.startswith("cudnn")
    write_saved_model(model, tmp_path / "m", {})
    samples = noise(0.5)[None]
    served = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    outputs = served(waveform=tf.constant(samples))["log_posteriors"]
    monkeypatch.undo()
    np.testing.assert_allclose(outputs, model(samples), atol=LOG_SUM)


def noise(seconds: float) -> np.ndarray:
    random = np.random.default_rng(2)
    return (0.1 * random.standard_normal(int(16000 * seconds))).astype(np.float32)


def described(network: AcousticModel) -> Description:
    return describe(network, Recipe.from_values(network.recipe, source="test"), None)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("length", [1, 4, 5, 9])  # in blocks of four
def test_plain_operations_say_what_the_engine_says(name, length, monkeypatch):
    monkeypatch.setattr(plain, "_BLOCK", 4)
    network = make(name)
    frames = np.random.default_rng(3).normal(size=(1, length, 12)).astype(np.float32)
    found = PlainNetwork(network)(tf.constant(frames)).numpy()
    np.testing.assert_allclose(found, network(frames).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["dense", "rnn", "lstm", "lstmp", "gru"])
def test_steps_say_what_the_whole_says(name):
    network = make(name)
    frames = np.random.default_rng(3).normal(size=(1, 9, 12)).astype(np.float32)
    copy = PlainNetwork(network)
    states = [[tf.zeros([1, size]) for size in block] for block in copy.state_sizes]
    parts = []
    for part in (frames[:, :1], frames[:, 1:5], frames[:, 5:]):
        outputs, states = copy.step(tf.constant(part), states)
        parts.append(outputs.numpy())
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1), network(frames).numpy(), atol=1e-5
    )


def test_a_waveform_model_survives_its_file(tmp_path):
    model = WaveformModel.around(make("lstmp", delay=3))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    samples = noise(0.3)[None]
    np.testing.assert_array_equal(model(samples), again(samples))


@pytest.mark.parametrize(("name", "delay"), [("lstmp", 3), ("bgru", 0)])
def test_tflite_says_the_same_at_any_length(tmp_path, name, delay):
    network = make(name, delay=delay)
    model, description = WaveformModel.around(network), described(network)
    path = tmp_path / "m.tflite"
    companions = {"keraldi.json": description.to_json()}
    streams = description.streams
    write_tflite(model, path, companions, streams=streams, int8=False)
    read = parse_description(read_companions(path), str(path))
    assert read == description
    runtime = TfliteModel(path, read)
    for seconds in (0.1, 1.5, 0.025):
        samples = noise(seconds)
        expected = model(samples[None]).numpy()[0]
        found = runtime.log_posteriors(samples)
        np.testing.assert_allclose(found, expected, atol=LOG_SUM)
    with pytest.raises(DataError, match="10 samples, less than one frame of 400"):
        runtime.log_posteriors(noise(1.0)[:10])
    if not streams:
        with pytest.raises(ConfigError, match="cannot run in steps"):
            runtime.stream()


def test_tflite_in_8_bits_is_smaller_and_keeps_the_front_end_in_float(tmp_path):
    keras.utils.set_random_seed(1)
    network = make("dense")
    wide = [vars(LayerOptions(type="lstm", cells=96))]
    network = AcousticModel(wide, 12, 3, recipe=network.recipe)
    model, description = WaveformModel.around(network), described(network)
    sizes, outputs = {}, {}
    for int8 in (False, True):
        path = tmp_path / f"{int8}.tflite"
        write_tflite(model, path, {}, streams=False, int8=int8)
        sizes[int8] = path.stat().st_size
        quiet = Description(recipe=description.recipe, stats=None, streams=False)
        outputs[int8] = TfliteModel(path, quiet).log_posteriors(noise(0.5))
    # 4 * 96 * (12 + 96) weights, of each of which three bytes in four go.
    assert sizes[False] - sizes[True] > 100_000
    # An 8-bit Fourier transform would shift log-posteriors by whole units.
    np.testing.assert_allclose(outputs[True], outputs[False], atol=0.1)


def test_onnx_says_the_same(tmp_path):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    network = make("blstmp")
    model, path = WaveformModel.around(network), tmp_path / "m.onnx"
    write_onnx(model, path, {"keraldi.json": described(network).to_json()})
    runtime = OnnxModel(path)
    assert runtime.description == described(network)
    samples = noise(0.7)
    expected = model(samples[None]).numpy()[0]
    np.testing.assert_allclose(runtime.log_posteriors(samples), expected, atol=LOG_SUM)


def test_files_that_are_no_models_are_told(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"TFL3 but not really")
    with pytest.raises(DataError, match="not a model that keraldi export made"):
        read_companions(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("keraldi.json", described(make("dense")).to_json())
    description = parse_description(read_companions(path), str(path))
    with pytest.raises(DataError, match="m.tflite: damaged"):
        TfliteModel(path, description)
    with pytest.raises(ConfigError, match="unknown key 'recipee'"):
        parse_description({"keraldi.json": '{"recipee": 1}'}, "x")
    for text in ("{", "[" * 200_000):
        with pytest.raises(DataError, match="keraldi.json in it is damaged"):
            parse_description({"keraldi.json": text}, "x")


@pytest.mark.parametrize("kind", ["tflite", "saved_model"])
def test_a_description_of_megabytes_is_refused(tmp_path, kind):
    path, text = tmp_path / "m", '{"a": [' + "[]," * 400_000 + "[]]}"
    if kind == "tflite":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("keraldi.json", text)
    else:
        (path / "assets.extra").mkdir(parents=True)
        (path / "assets.extra/keraldi.json").write_text(text)
    with pytest.raises(DataError, match="keraldi.json in it is too large .1200011 by"):
        read_companions(path)


def test_any_damage_of_packed_companions_is_told(tmp_path):
    path = tmp_path / "m.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keraldi.json", described(make("dense")).to_json())
    content, told = path.read_bytes(), 0
    for bit in range(8 * 40, 8 * (len(content) - 60), 37):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read_companions(path)
        except DataError:
            told += 1
    assert told > 10
