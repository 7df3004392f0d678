"""A quick start, in a process of its own."""

import subprocess
import sys

CODE = """
from pipeline.startup import start_quickly
start_quickly()
import keras, sys
print(sorted(n for n in ("sklearn", "matplotlib") if sys.modules.get(n)))
import gc
print(gc.get_threshold()[0] > 700, keras.layers.Dense(2)(keras.ops.ones((1, 3))).shape)
"""


def test_keras_goes_on_without_what_it_does_not_need():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "True (1, 2)"]
