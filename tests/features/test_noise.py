"""Lines that say nothing are kept from standard error, all else comes through."""

import os
import subprocess
import sys

import pytest

from features.noise import without_noise

SAID = b"""INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
ERROR: tensor 15 lacks data
"""


def test_what_matters_comes_through(capfd):
    with pytest.raises(ValueError, match="x"), without_noise():
        os.write(2, SAID)
        raise ValueError("x")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: tensor 15 lacks data\nafter\n"


@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")
def test_a_process_started_meanwhile_is_not_waited_for():
    with without_noise():
        child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_standard_error_may_be_closed():
    program = (
        "import os; os.close(2); from features.noise import without_noise\n"
        "with without_noise(): print('done')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True
    )
    assert done.stdout == "done\n"
