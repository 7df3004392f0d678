"""Whether a deep network stays finite, and how large it is, on sequences of 1,500 frames.

    python tests/benchmarks/long_sequences.py [--json FILE] [--batch 4] [--steps 200]

A 5-layer bidirectional LSTMP of 512 cells is trained by the model builder's defaults (Adam, norm
of gradients bounded by 5). Labels follow from the inputs of ten frames before and after, so
that there is something to learn. Ends with status 1 if anything was not finite.
"""

import argparse
import json
import resource
import time

import keras
import numpy as np
import tensorflow as tf

from pipeline.nnet.config import LayerOptions, NetworkOptions, OptimizerOptions
from pipeline.nnet.network import AcousticModel
from pipeline.nnet.threads import use_cores

LAYERS, CELLS, PROJECTION, FRAMES, INPUTS, LABELS = 5, 512, 256, 1500, 120, 40
REACH = 10  # frames from an input to the label that it decides, in both directions
GIB = 2**30


def example(rng: np.random.Generator, teacher: np.ndarray, rows: int) -> tuple:
    """Inputs [B, T, F] float32 and labels [B, T] int32."""
    inputs = rng.normal(size=(rows, FRAMES, INPUTS)).astype(np.float32)
    near = np.roll(inputs, REACH, axis=1) + np.roll(inputs, -REACH, axis=1)
    return inputs, np.argmax(near @ teacher, axis=-1).astype(np.int32)


def train(rows: int, steps: int) -> dict[str, float]:
    """Trains so many steps; the first and last losses, speed and peak memory."""
    use_cores()
    keras.utils.set_random_seed(1)
    layer = LayerOptions(
        type="lstmp",
        cells=CELLS,
        projection=PROJECTION,
        bidirectional="concat",
        repeat=LAYERS,
    )
    model = AcousticModel.from_options(
        NetworkOptions(layers=[layer]), input_dim=INPUTS, num_outputs=LABELS
    )
    variables = model.trainable_variables
    defaults = OptimizerOptions()
    optimizer = keras.optimizers.Adam(
        defaults.learning_rate, global_clipnorm=defaults.clip_norm
    )
    optimizer.build(variables)

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            picked = tf.gather(model(x, training=True), y, batch_dims=2)
            loss = -tf.reduce_mean(picked)
        gradients = tape.gradient(loss, [v.value for v in variables])
        optimizer.apply(gradients, variables)
        return loss, tf.linalg.global_norm(gradients)

    rng = np.random.default_rng(1)
    teacher = rng.normal(size=(INPUTS, LABELS))
    losses, largest, began = [], 0.0, 0.0
    for number in range(steps):
        x, y = example(rng, teacher, rows)
        loss, norm = (float(value) for value in step(x, y))
        began = began or time.perf_counter()  # the first step builds the graph
        losses.append(loss)
        largest = max(largest, norm)
        if not np.isfinite([loss, norm]).all():
            raise SystemExit(f"step {number}: loss {loss}, gradient norm {norm}")
        if number % 10 == 0:
            print(f"step {number:4} loss {loss:.4f} norm {norm:.3f}", flush=True)
    seconds = time.perf_counter() - began
    if not all(np.isfinite(variable.numpy()).all() for variable in variables):
        raise SystemExit("after training a weight is not finite")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "batch": rows,
        "steps": steps,
        "first_loss": float(np.mean(losses[:5])),
        "last_loss": float(np.mean(losses[-5:])),
        "largest_gradient_norm": largest,
        "frames_per_second": (steps - 1) * rows * FRAMES / seconds,
        "peak_memory_gib": peak / GIB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    figures = train(options.batch, options.steps)
    for key, value in figures.items():
        print(f"{key:24} {value:.4g}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(figures, stream, indent=1)


if __name__ == "__main__":
    main()
