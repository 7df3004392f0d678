"""Whether the engine or cuDNN runs a layer, and why."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from pipeline.nnet.ranges import implementation
from pipeline.nnet.recurrent import cudnn
from pipeline.nnet.recurrent.cells import Cell, GRUCell

# TensorFloat-32 has 11 bits; weights in another order give differences of 0.1.
_TRIAL = 0.02
_forced: ContextVar[str | None] = ContextVar("implementation", default=None)


class Choice(NamedTuple):
    """What runs a layer: `name` "engine" or "cudnn", and the reason in words."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@contextmanager
def use_implementation(wish: str) -> Iterator[None]:
    """Within it all layers are run, and traced, as if made with `implementation=wish`.

    What a graph was traced with stays in it. `use_implementation("engine")` around an export
    makes a SavedModel that other machines can run, and around a call runs a model that was
    saved with `implementation="cudnn"`.

    Raises:
        ConfigError: there is no such implementation.
    """
    token = _forced.set(implementation("implementation", wish))
    try:
        yield
    finally:
        _forced.reset(token)


def choose(wish: str, cell: Cell) -> Choice:
    """Which implementation a layer of this cell takes here and now.

    "auto" takes cuDNN wherever it can. The choice is made while a graph is traced, by the
    devices that TensorFlow sees then.
    """
    wish = _forced.get() or wish
    if wish == "engine":
        return Choice("engine", "asked for")
    obstacle = _obstacle(cell)
    if obstacle is None:
        why = "asked for" if wish == "cudnn" else "there is a CUDA device"
        return Choice("cudnn", why)
    return Choice("engine", obstacle)


def insisted(wish: str) -> bool:
    """Whether nothing but cuDNN will do."""
    return (_forced.get() or wish) == "cudnn"


def _obstacle(cell: Cell) -> str | None:
    """Why cuDNN cannot run the cell; None if it can."""
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA"
    if not tf.config.get_visible_devices("GPU"):
        return "no CUDA device"
    lacking = cudnn.lacks(cell)
    if lacking:
        return f"{lacking} is not in cuDNN"
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    if graph is not None and GraphOrParentsInXlaContext(graph):
        return "XLA compiles this graph and cannot call cuDNN"
    mode = "gru" if isinstance(cell, GRUCell) else "lstm"
    return _trial(mode, cell.recurrent_size != cell.units)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _two_frames(mode: str, weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Outputs [2, P] of frames [2, F] by the equations of the cells."""
    kernel, recurrent, bias, last = weights
    hidden, state = np.zeros(len(recurrent)), np.zeros(bias.size // 4)
    outputs = []
    for frame in x:
        z, fed_back = frame @ kernel + bias, hidden @ recurrent
        if mode == "gru":
            update, reset, candidate = np.split(z, 3)
            of_update, of_reset, inner = np.split(fed_back, 3)
            share = _sigmoid(update + of_update)
            inner = _sigmoid(reset + of_reset) * (inner + last)
            hidden = (1 - share) * hidden + share * np.tanh(candidate + inner)
        else:
            i, f, g, o = np.split(z + fed_back, 4)
            state = _sigmoid(f) * state + _sigmoid(i) * np.tanh(g)
            hidden = (_sigmoid(o) * np.tanh(state)) @ last
        outputs.append(hidden)
    return np.array(outputs)


@functools.cache
def _trial(mode: str, projected: bool) -> str | None:
    """Runs two frames on cuDNN, once a process: what went wrong, None if they came out right.

    TensorFlow calls the vector of weights opaque, and a device may lack its library.
    """
    rng, units, inputs = np.random.default_rng(1), 5, 4
    width = units * (3 if mode == "gru" else 4)
    fed_back = 3 if projected else units
    shapes = [(inputs, width), (fed_back, width), (width,)]
    weights = [rng.uniform(-2, 2, shape) for shape in shapes]
    if mode == "gru":
        weights.append(rng.uniform(-2, 2, units))
    else:
        weights.append(rng.uniform(-2, 2, (units, 3)) if projected else np.eye(units))
    x = rng.uniform(-1, 1, (2, inputs))
    with tf.init_scope():
        given = [tf.constant(w, tf.float32) for w in weights]
        first = [tf.zeros([1, fed_back])] + [tf.zeros([1, units])] * (mode == "lstm")
        if mode == "lstm" and not projected:
            given.pop()
        pack = cudnn.pack_gru if mode == "gru" else cudnn.pack_lstm
        frames = tf.constant(x[None], tf.float32)
        try:
            outputs, _ = cudnn.call(mode, pack(*given), frames, first, tf.constant([2]))
        except tf.errors.OpError as error:
            return f"cuDNN does not run here ({error.message.splitlines()[0]})"
    worst = np.abs(outputs[0].numpy() - _two_frames(mode, weights, x)).max()
    if not worst < _TRIAL:
        return f"this cuDNN gives other figures ({worst:.2g} off in a trial)"
    return None
