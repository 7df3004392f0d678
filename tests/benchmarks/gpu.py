"""The layers on a CUDA device: cuDNN beside the engine and PyTorch, in one process.

    python tests/benchmarks/gpu.py [--json FILE] [--repeats 7]

Sizes are those of `recurrent.py`; the sides take turns, a figure is the median, a ratio is of
throughputs. Products are exact float32 on all sides (no TensorFloat-32). First the outputs and
gradients of cuDNN and of the engine are compared. PyTorch's CUDA build is needed here only.
"""

import argparse
import json
import statistics
import time

import numpy as np
from recurrent import BATCH, CELLS, INPUTS, PROJECTION, KerasSide, Step, TorchSide

CELL_NAMES = ("lstmp", "blstmp", "lstm", "gru")
PROMISED = 1e-4  # of outputs and of gradients


def differences() -> dict[str, float]:
    """For each cell the largest difference of outputs, states and gradients, by 1 + size."""
    import tensorflow as tf

    from pipeline.nnet import recurrent

    makers = {
        "lstm": lambda **k: recurrent.LSTM(CELLS, **k),
        "lstmp": lambda **k: recurrent.LSTMP(CELLS, projection=PROJECTION, **k),
        "gru": lambda **k: recurrent.GRU(CELLS, reset_after=True, **k),
    }
    x = tf.constant(
        np.random.default_rng(1).normal(size=(BATCH, 50, INPUTS)), "float32"
    )
    mask = tf.sequence_mask(np.linspace(0, 50, BATCH).astype(int), 50)
    worst = {}
    for name, make in makers.items():
        for backwards in (False, True):
            layer = make(
                return_sequences=True, return_state=True, go_backwards=backwards
            )
            layer.build(x.shape)
            sides = []
            for wish in ("engine", "cudnn"):
                with tf.GradientTape() as tape, recurrent.use_implementation(wish):
                    tape.watch(x)
                    outputs, *states = layer(x, mask=mask, training=True)
                    loss = tf.reduce_mean(tf.sin(3 * outputs))
                sources = [x, *(w.value for w in layer.trainable_variables)]
                sides.append([outputs, *states, *tape.gradient(loss, sources)])
            worst[f"{name}{'_backwards' * backwards}"] = max(
                float(tf.reduce_max(tf.abs(a - b) / (1 + tf.abs(a))))
                for a, b in zip(*sides, strict=True)
            )
    return worst


def steps_of(case: str, ours: KerasSide, torch: TorchSide) -> dict[str, Step]:
    """What each side does in a turn of a case, warmed up."""
    from pipeline.nnet.recurrent import use_implementation

    steps = {"torch": torch.step(case)}
    for wish in ("engine", "cudnn"):
        with use_implementation(wish):  # the first call traces the graph
            steps[wish] = ours.step(case)
            steps[wish]()
    for step in steps.values():
        step()
    return steps


def compare(repeats: int) -> dict[str, object]:
    """All figures."""
    from pipeline.nnet.recurrent import GRU

    ours, torch = KerasSide(True), TorchSide()
    ours.makers["gru"] = lambda: GRU(CELLS, reset_after=True, return_sequences=True)
    results: dict[str, object] = {"differences": differences()}
    for cell in CELL_NAMES:
        for what in ("train", "infer"):
            steps = steps_of(f"{cell}-{what}", ours, torch)
            taken: dict[str, list[float]] = {side: [] for side in steps}
            for _ in range(repeats):
                for side, step in steps.items():
                    began = time.perf_counter()
                    step()
                    taken[side].append(time.perf_counter() - began)
            median = {side: statistics.median(taken[side]) for side in steps}
            for side in ("engine", "torch"):
                key = f"{cell}_{what}_cudnn_vs_{side}"
                results[key] = median[side] / median["cudnn"]
                print(f"{key:32} {results[key]:.2f}", flush=True)
            results[f"{cell}_{what}_seconds"] = median
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        raise SystemExit("TensorFlow sees no CUDA device here: nothing was measured")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)  # PyTorch needs some
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        import torch
    except ModuleNotFoundError:
        raise SystemExit("PyTorch is not installed: pip install torch") from None
    if not torch.cuda.is_available():
        raise SystemExit("this PyTorch sees no CUDA device; install its CUDA build")
    torch.set_default_device("cuda")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    results = compare(options.repeats)
    results["device"] = torch.cuda.get_device_name()
    worst = max(results["differences"].values())
    print(f"largest difference of cuDNN and engine {worst:.2g}, promised {PROMISED}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(results, stream, indent=1)
    if not worst <= PROMISED:
        raise SystemExit("cuDNN and the engine differ")


if __name__ == "__main__":
    main()
