"""A quick start, in a process of its own."""

import os
import subprocess
import sys

import pytest

CODE = """
from pipeline.startup import start_quickly
start_quickly()
import keras, sys
print(sorted(n for n in ("sklearn", "matplotlib") if sys.modules.get(n)))
import gc
print(gc.get_threshold()[0] > 700, keras.layers.Dense(2)(keras.ops.ones((1, 3))).shape)
"""

COMPILED = """
from pipeline.startup import start_quickly
start_quickly()
import numba, numpy, sys
print(numba.njit(lambda x: x.sum())(numpy.arange(4.0)), "scipy.linalg" in sys.modules)
import scipy.linalg
print(scipy.linalg.det(numpy.eye(2)))
"""

# Three lines as TensorFlow's libraries write them, and one that matters.
SAID = b"""WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795272979.924396    3435 cudart_stub.cc:31] Could not find cuda drivers
I0000 00:00:1795278620.544349   25561 port.cc:153] oneDNN custom operations are on. You may
F0000 00:00:1795272979.924399    3435 cpu_guard.cc:88] compiled to use AVX
"""


def test_keras_goes_on_without_what_it_does_not_need():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "True (1, 2)"]


def test_numba_goes_on_without_scipy_which_others_find():
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["6.0 False", "1.0"]


def loaded(tmp_path, *, end: str) -> subprocess.CompletedProcess:
    """Loads a stand-in for TensorFlow that writes `SAID` and then does `end`."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow/__init__.py").write_text(
        f"import os\nos.write(2, {SAID!r})\n{end}\n"
    )
    program = (
        "import os\nfrom pipeline.startup import start_quickly\nstart_quickly()\n"
        "import tensorflow\nos.write(2, b'I0000 1 1 cudart_stub.cc:31] said later\\n')\n"
        "print(tensorflow.__spec__.name)"
    )
    paths = os.pathsep.join([str(tmp_path), os.getcwd()])
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=False,
    )


def test_lines_that_say_nothing_of_this_run_are_not_shown(tmp_path):
    done = loaded(tmp_path, end="")
    kept = SAID.splitlines(keepends=True)[3]
    assert done.stderr == kept + b"I0000 1 1 cudart_stub.cc:31] said later\n"
    assert done.stdout == b"tensorflow\n"


@pytest.mark.parametrize(
    ("end", "last"),
    [("os.abort()", b"compiled to use AVX"), ("1 / 0", b"ZeroDivisionError: ")],
)
def test_what_ends_the_process_is_shown(tmp_path, end, last):
    done = loaded(tmp_path, end=end)
    assert done.returncode != 0
    assert b"cudart_stub" not in done.stderr and b"oneDNN" not in done.stderr
    assert last in done.stderr.splitlines()[-1] and b"AVX" in done.stderr
