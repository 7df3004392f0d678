"""How fast and how large the recurrent layers are, beside Keras's and PyTorch's.

    python tests/benchmarks/recurrent.py [--json FILE] [--repeats 7] [--parts keras gemm ...]

Each side is a process of its own with the threads that suit it best; the sides take turns.
A figure is the median of `--repeats` turns; a ratio is of throughputs, ours over theirs.
Keras runs twice: as TensorFlow comes, and with oneDNN's products, which our side has
(`pipeline.nnet` asks for them). What `--parts` leaves out stays in FILE as it was.
PyTorch is needed here only: pip install 'keraldi[bench]'.
"""

import argparse
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

BATCH, FRAMES, INPUTS, LAYERS, CELLS, PROJECTION, LABELS = 32, 100, 120, 3, 512, 256, 40
LONG = 1000
PAUSE = 0.3  # seconds between turns: threads of the side before may spin on for a while
GEMM = 2048
CORES = len(os.sched_getaffinity(0))

# Floats the engine keeps for the gradient, per frame, layer and row: the gates' tanhs, the
# cell, the output as state and as what the next layer sees.
DESIGN_FLOATS = 4 * CELLS + CELLS + 2 * PROJECTION

Step = Callable[[], object]
Results = tuple[dict[str, float], dict[str, object]]  # figures, and their spread


def batch(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [B, T, F] and labels [B, T]."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(BATCH, frames, INPUTS)).astype(np.float32)
    return inputs, rng.integers(0, LABELS, size=(BATCH, frames)).astype(np.int32)


def lengths(kind: str) -> np.ndarray:
    """[B] lengths of utterances in one batch, the longest of `FRAMES`.

    Args:
        kind: "batch" is the batch of median padding in an epoch of training on 2,000
            utterances of log-normal lengths, as wide as speechocean762's (their logarithms'
            standard deviation is 0.4); "widest" has the most that the batcher plans, 8 %.
    """
    if kind == "widest":
        return np.linspace(0.84 * FRAMES, FRAMES, BATCH).round().astype(int)
    from pipeline.nnet.batches import BatchPlan
    from pipeline.nnet.config import BatchOptions

    drawn = 118 * np.random.default_rng(1).lognormal(sigma=0.4, size=2000)
    drawn = drawn.round().astype(int)
    examples = SimpleNamespace(lengths=drawn, keys=range(len(drawn)))
    plan = BatchPlan(examples, BatchOptions(utterances=BATCH), seed=1)
    batches = [drawn[list(plan.keys(0, step))] for step in range(plan.steps)]
    batches = [part for part in batches if len(part) == BATCH]
    batches.sort(key=lambda part: part.mean() / part.max())
    chosen = np.sort(batches[len(batches) // 2])
    return (chosen * FRAMES / chosen.max()).round().astype(int)


class KerasSide:
    """Our layers, or Keras's own, in the same model."""

    def __init__(self, ours: bool) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        if ours:
            importlib.import_module("pipeline.nnet")  # before TensorFlow is imported
        import keras
        import tensorflow as tf

        from pipeline.nnet import recurrent
        from pipeline.nnet.threads import use_cores

        if ours:
            use_cores()
        self.keras, self.tf = keras, tf
        layers = recurrent if ours else keras.layers
        self.makers = {
            "lstm": lambda: layers.LSTM(CELLS, return_sequences=True),
            # The equation of Keras's and PyTorch's.
            "gru": lambda: layers.GRU(CELLS, return_sequences=True, reset_after=True),
        }
        if ours:
            self.makers["lstmp"] = lambda: recurrent.LSTMP(
                CELLS, projection=PROJECTION, return_sequences=True
            )
            self.makers["blstmp"] = lambda: keras.layers.Bidirectional(
                self.makers["lstmp"]()
            )

    def step(self, case: str) -> Step:
        """A function that does one turn of a case."""
        tf = self.tf
        if case == "gemm":
            square = tf.random.normal([GEMM, GEMM])
            product = tf.function(lambda a: a @ a)
            return lambda: product(square).numpy()
        cell, what, *more = case.split("-")
        kind = more[0] if more else ""
        frames = LONG if kind == "long" else FRAMES
        x, y = map(tf.constant, batch(frames))
        padded = kind in ("batch", "widest")
        mask = tf.sequence_mask(lengths(kind), frames) if padded else None
        inputs = self.keras.Input((None, INPUTS))
        stack = [self.makers[cell]() for _ in range(LAYERS)]
        dense = self.keras.layers.Dense(LABELS)

        def apply(x: object, mask: object, training: bool) -> object:
            for layer in stack:
                x = layer(x, mask=mask, training=training)
            return dense(x)

        apply(inputs, None, False)
        if what == "infer":
            run = tf.function(lambda x: apply(x, None, False))
            return lambda: run(x).numpy()
        variables = [v for layer in (*stack, dense) for v in layer.trainable_variables]
        optimizer = self.keras.optimizers.Adam(1e-3)
        optimizer.build(variables)

        @tf.function
        def train(x: object, y: object, mask: object) -> object:
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    y, apply(x, mask, True)
                )
                if mask is not None:
                    losses = tf.boolean_mask(losses, mask)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, [v.value for v in variables])
            optimizer.apply(gradients, variables)
            return loss

        return lambda: train(x, y, mask).numpy()


class TorchSide:
    """PyTorch's recurrent layers."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(CORES)
        self.torch = torch

    def step(self, case: str) -> Step:
        """A function that does one turn of a case."""
        torch = self.torch
        if case == "gemm":
            square = torch.randn(GEMM, GEMM)
            return lambda: (square @ square).cpu().numpy()
        cell, what = case.split("-")
        kind = torch.nn.GRU if cell == "gru" else torch.nn.LSTM
        options = {"proj_size": PROJECTION} if "lstmp" in cell else {}
        both = cell == "blstmp"
        net = kind(
            INPUTS, CELLS, LAYERS, batch_first=True, bidirectional=both, **options
        )
        width = (PROJECTION if options else CELLS) * (1 + both)
        dense = torch.nn.Linear(width, LABELS)
        parameters = [*net.parameters(), *dense.parameters()]
        optimizer = torch.optim.Adam(parameters)
        x, y = map(torch.tensor, batch(FRAMES))
        y = y.long().reshape(-1)

        def train() -> float:
            optimizer.zero_grad()
            logits = dense(net(x)[0]).reshape(-1, LABELS)
            loss = torch.nn.functional.cross_entropy(logits, y)
            loss.backward()
            optimizer.step()
            return float(loss)

        def infer() -> np.ndarray:
            with torch.no_grad():
                return dense(net(x)[0]).cpu().numpy()

        return train if what == "train" else infer


def work(side: str) -> None:
    """A side's process: a case a line on standard input, its seconds on standard output."""
    sides = {
        "ours": lambda: KerasSide(True),
        "keras": lambda: KerasSide(False),
        "keras-onednn": lambda: KerasSide(False),
        "torch": TorchSide,
    }
    runner, steps = sides[side](), {}
    for line in sys.stdin:
        case = line.strip()
        if case not in steps:
            steps[case] = runner.step(case)
            steps[case]()
            steps[case]()
        began = time.perf_counter()
        steps[case]()
        print("took", time.perf_counter() - began, flush=True)


class Side:
    """A side as the driver sees it."""

    def __init__(self, name: str) -> None:
        onednn = {"TF_ENABLE_ONEDNN_OPTS": "1"} if name == "keras-onednn" else {}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--side", name],
            env={**os.environ, **onednn},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def turn(self, case: str) -> float:
        """Seconds of one turn."""
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("took"):
                time.sleep(PAUSE)
                return float(line.split()[1])
        raise SystemExit(f"{case}: the process ended; run it alone with --side")


def measure(turns: list[tuple[Side, str]], repeats: int) -> list[dict[str, float]]:
    """Medians and quartiles of the seconds of several cases that take turns."""
    for side, case in turns:
        side.turn(case)
    seconds = [[] for _ in turns]
    for _ in range(repeats):
        for taken, (side, case) in zip(seconds, turns, strict=True):
            taken.append(side.turn(case))
    return [
        {
            "median": statistics.median(taken),
            "low": float(np.percentile(taken, 25)),
            "high": float(np.percentile(taken, 75)),
        }
        for taken in seconds
    ]


def useful_flops() -> float:
    """Floating-point operations of the matrix products of one LSTMP training step."""
    total = 0
    for layer in range(LAYERS):
        inputs = PROJECTION if layer else INPUTS
        products = inputs * 4 * CELLS + PROJECTION * 4 * CELLS + CELLS * PROJECTION
        total += 3 * products - (
            0 if layer else inputs * 4 * CELLS
        )  # no dx of the data
    return 2.0 * total * BATCH * FRAMES


def memory() -> None:
    """Prints this process's peak memory after training on `--frames` frames."""
    frames = int(sys.argv[-1])
    global FRAMES
    FRAMES = frames
    step = KerasSide(True).step("lstmp-train")
    step()
    step()
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def peak(frames: int) -> int:
    """Bytes of peak memory of training on so many frames, in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--memory", str(frames)],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(x for x in done.stdout.splitlines() if x.startswith("peak"))
    return int(line.split()[1])


def against(side: str, cases: dict[str, str], repeats: int) -> Results:
    """Ratios of our throughput to another side's."""
    ours, theirs = Side("ours"), Side(side)
    figures, spread = {}, {}
    for key, case in cases.items():
        our_seconds, their_seconds = measure([(ours, case), (theirs, case)], repeats)
        figures[key] = their_seconds["median"] / our_seconds["median"]
        spread[key] = {"ours_s": our_seconds, "theirs_s": their_seconds}
    return figures, spread


def of_gemm(repeats: int) -> Results:
    """The share of the speed of a large product, whoever of the three multiplies fastest."""
    ours, torch, keras = Side("ours"), Side("torch"), Side("keras")
    step, *products = measure(
        [(ours, "lstmp-train"), (ours, "gemm"), (torch, "gemm"), (keras, "gemm")],
        repeats,
    )
    gemm = 2.0 * GEMM**3 / min(product["median"] for product in products)
    share = useful_flops() / step["median"] / gemm
    figures = {"lstmp_train_of_gemm": share, "gemm_gflops": gemm / 1e9}
    return figures, {"lstmp_train_of_gemm": {"step_s": step, "products_s": products}}


def of_lengths(repeats: int) -> Results:
    """The cost of a frame in long and in padded sequences."""
    ours = Side("ours")
    cases = {
        "long_s": "-long",
        "full_s": "",
        "batch_s": "-batch",
        "widest_s": "-widest",
    }
    turns = [(ours, "lstmp-train" + kind) for kind in cases.values()]
    seconds = dict(zip(cases, measure(turns, repeats), strict=True))
    long, full, batch, widest = (taken["median"] for taken in seconds.values())

    def overhead(padded: float, kind: str) -> float:
        return padded / full / lengths(kind).mean() * FRAMES

    figures = {
        "frame_cost_1000_over_100": long / full * FRAMES / LONG,
        "variable_length_overhead": overhead(batch, "batch"),
        "variable_length_padding": 1.0 - lengths("batch").mean() / FRAMES,
        "widest_length_overhead": overhead(widest, "widest"),
    }
    return figures, {"lengths": seconds}


def of_memory(_: int) -> Results:
    """What training keeps of a frame."""
    more, fewer = 800, 400
    kept = (peak(more) - peak(fewer)) / (more - fewer) / LAYERS / BATCH
    figures = {
        "memory_bytes_per_frame": kept,
        "memory_bytes_by_design": 4.0 * DESIGN_FLOATS,
        "memory_over_design": kept / (4 * DESIGN_FLOATS),
    }
    return figures, {}


PARTS = {
    "torch-lstmp": partial(
        against,
        "torch",
        {
            "lstmp_train_vs_torch": "lstmp-train",
            "lstmp_infer_vs_torch": "lstmp-infer",
        },
    ),
    "torch-blstmp": partial(
        against, "torch", {"blstmp_train_vs_torch": "blstmp-train"}
    ),
    "torch-plain": partial(
        against,
        "torch",
        {"lstm_train_vs_torch": "lstm-train", "gru_train_vs_torch": "gru-train"},
    ),
    "keras": partial(
        against,
        "keras",
        {"lstm_train_vs_keras": "lstm-train", "gru_train_vs_keras": "gru-train"},
    ),
    "keras-onednn": partial(
        against,
        "keras-onednn",
        {
            "lstm_train_vs_keras_onednn": "lstm-train",
            "gru_train_vs_keras_onednn": "gru-train",
        },
    ),
    "gemm": of_gemm,
    "lengths": of_lengths,
    "memory": of_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--side")
    parser.add_argument("--memory", type=int)
    options = parser.parse_args()
    if options.side:
        return work(options.side)
    if options.memory:
        return memory()
    path = Path(options.json) if options.json else None
    results = json.loads(path.read_text("utf-8")) if path and path.exists() else {}
    results.setdefault("spread", {})
    results["machine"] = f"{platform.processor() or platform.machine()}, {CORES} cores"
    for part in options.parts:
        figures, spread = PARTS[part](options.repeats)
        results |= figures
        results["spread"] |= spread
        for key, value in figures.items():
            print(f"{key:28} {value:.3f}", flush=True)
        if path:
            path.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
