"""How TensorFlow's threads are settled."""

import subprocess
import sys

import pytest

from pipeline.nnet import threads


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Filled when threads would be set; no process is left with other ones."""
    seen: list[str] = []
    monkeypatch.setattr(threads, "use_cores", lambda: seen.append("set"))
    for name in ("INTRAOP", "INTEROP"):
        monkeypatch.delenv(f"TF_NUM_{name}_THREADS", raising=False)
    for name in ("intra", "inter"):
        monkeypatch.setattr(
            threads.tf.config.threading,
            f"get_{name}_op_parallelism_threads",
            lambda: 0,
        )
    monkeypatch.setattr(threads.tf.config, "list_physical_devices", lambda kind: [])
    return seen


def test_a_command_sets_them_where_nobody_has(calls):
    threads.use_cores_unless_set()
    assert calls == ["set"]


@pytest.mark.parametrize("name", ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"])
def test_what_the_environment_says_stays(calls, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    threads.use_cores_unless_set()
    assert not calls


@pytest.mark.parametrize("name", ["intra", "inter"])
def test_what_the_program_set_stays(calls, monkeypatch, name):
    monkeypatch.setattr(
        threads.tf.config.threading, f"get_{name}_op_parallelism_threads", lambda: 1
    )
    threads.use_cores_unless_set()
    assert not calls


def test_a_gpu_is_left_alone(calls, monkeypatch):
    monkeypatch.setattr(threads.tf.config, "list_physical_devices", lambda kind: ["0"])
    threads.use_cores_unless_set()
    assert not calls


def test_a_program_that_runs_tensorflow_already_goes_on(calls, monkeypatch):
    def refuse() -> None:
        raise RuntimeError("cannot be modified after initialization")

    monkeypatch.setattr(threads, "use_cores", refuse)
    threads.use_cores_unless_set()


CALLERS = """
import gc
gc.disable()  # a quicker import of TensorFlow
import tensorflow as tf
from pipeline.nnet.threads import one_thread_an_operation, shards_for
many = shards_for(64, 1 << 20)
one_thread_an_operation(2)
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads())
print(threading.get_inter_op_parallelism_threads())
print(many >= shards_for(64, 1 << 20) == 1)
"""


def test_callers_get_a_thread_each_and_batches_stay_whole():
    done = subprocess.run(
        [sys.executable, "-c", CALLERS], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "2", "True"]
