"""A waveform model as files: Keras's own, SavedModel, TFLite and ONNX.

Every artefact carries companion files (what it is, how to decode) where its format has room
for them: `.keras` is an archive, TFLite allows an archive behind the model, ONNX has
properties, a SavedModel is a folder.
"""

import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from features.errors import ConfigError
from features.files import atomic_file, atomic_folder
from pipeline.nnet.artefact import CHECKSUM, checksum
from pipeline.nnet.plain import PlainNetwork
from pipeline.nnet.recurrent import use_implementation
from pipeline.nnet.waveform import WaveformModel, prolonged

_OPSET = 17


Function = Callable[..., dict[str, tf.Tensor]]
Specs = dict[str, tf.TensorSpec]


def _frozen(function: Function, specs: Specs) -> Any:
    """Traces a function with its variables as constants: TFLite's loops cannot read variables.

    Arguments and results keep their names.
    """
    traced = tf.function(function, autograph=False).get_concrete_function(**specs)
    constant = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    order = [tensor.name.split(":")[0] for tensor in constant.inputs]
    names = sorted(traced.structured_outputs)  # as a flat list holds them

    def run(**arguments: tf.Tensor) -> dict[str, tf.Tensor]:
        results = constant(*(arguments[name] for name in order))
        return dict(zip(names, results, strict=True))

    return tf.function(run, autograph=False).get_concrete_function(**specs)


def _whole(model: WaveformModel, network: PlainNetwork) -> tuple[Function, Specs]:
    """A waveform [1, S] to log-posteriors [1, T, V]."""

    def run(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        frames = prolonged(model.frontend.call(waveform), model.delay)
        return {"log_posteriors": network(frames)[:, model.delay :]}

    return run, {"waveform": tf.TensorSpec([1, None], tf.float32, name="waveform")}


def _step(network: PlainNetwork) -> tuple[Function, Specs]:
    """Frames [1, T, F] and states to log-posteriors [1, T, V] and the states after them."""
    sizes = [size for block in network.state_sizes for size in block]
    places = [f"state{number:02d}" for number in range(len(sizes))]

    def run(frames: tf.Tensor, **flat: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = iter([flat[place] for place in places])
        states = [[next(rows) for _ in block] for block in network.state_sizes]
        outputs, after = network.step(frames, states)
        named = zip(places, (s for block in after for s in block), strict=True)
        return {"log_posteriors": outputs, **dict(named)}

    specs = {
        place: tf.TensorSpec([1, size], tf.float32, name=place)
        for place, size in zip(places, sizes, strict=True)
    }
    frames = tf.TensorSpec([1, None, network.input_dim], tf.float32, name="frames")
    return run, {"frames": frames, **specs}


def _append(path: Path, companions: Mapping[str, str]) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in companions.items():
            archive.writestr(zipfile.ZipInfo(name), text)


def write_keras(
    model: WaveformModel, path: Path, companions: Mapping[str, str]
) -> None:
    """Writes Keras's format, which `keras.models.load_model` reads after `import pipeline`."""
    with atomic_file(path) as temporary:
        model.save(temporary)
        _append(temporary, companions)


def write_saved_model(
    model: WaveformModel, path: Path, companions: Mapping[str, str]
) -> None:
    """Writes a SavedModel; its signature takes `waveform` [B, S].

    Its recurrent layers are run by the engine, so that it runs on machines without cuDNN too.
    """
    spec = tf.TensorSpec([None, None], tf.float32, name="waveform")
    serve = tf.function(
        lambda waveform: {"log_posteriors": model(waveform)}, input_signature=[spec]
    )
    module = tf.Module()
    module.model = model
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with use_implementation("engine"), atomic_folder(path) as temporary:
        tf.saved_model.save(
            module,
            str(temporary),
            signatures={"serving_default": serve.get_concrete_function()},
            options=options,
        )
        extra = temporary / "assets.extra"
        extra.mkdir()
        for name, text in companions.items():
            (extra / name).write_text(text, encoding="utf-8")


def write_tflite(
    model: WaveformModel,
    path: Path,
    companions: Mapping[str, str],
    *,
    streams: bool,
    int8: bool,
) -> None:
    """Writes TFLite of built-in operations: no TensorFlow operations are needed to run it.

    Args:
        model: the model.
        path: file to write.
        companions: files to carry along.
        streams: whether to add the signature `step`.
        int8: whether the network's matrices become 8-bit integers (dynamic-range
            quantisation); the front end stays in float.
    """
    network = PlainNetwork(model.network)
    functions = {"waveform": _frozen(*_whole(model, network))}
    if streams:
        functions["step"] = _frozen(*_step(network))
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(functions)
        )
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = converter.convert()
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
        _append(temporary, {**companions, CHECKSUM: checksum(content)})


def write_onnx(model: WaveformModel, path: Path, companions: Mapping[str, str]) -> None:
    """Writes ONNX by way of tf2onnx, which Keras's own exporter uses too.

    Raises:
        ConfigError: tf2onnx is not installed.
    """
    try:
        import tf2onnx
    except ModuleNotFoundError:
        raise ConfigError(
            "ONNX needs tf2onnx: pip install 'keraldi[export]', or leave onnx out of --formats"
        ) from None
    run, specs = _whole(model, PlainNetwork(model.network))
    spec = specs["waveform"]
    function = tf.function(run, autograph=False, input_signature=[spec])
    converted, _ = tf2onnx.convert.from_function(
        function, input_signature=[spec], opset=_OPSET
    )
    for name, text in companions.items():
        entry = converted.metadata_props.add()
        entry.key, entry.value = name, text
    with atomic_file(path) as temporary:
        temporary.write_bytes(converted.SerializeToString())
