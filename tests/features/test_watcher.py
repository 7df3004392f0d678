"""Commands end with the process that started them, however that ends."""

import os
import subprocess
import sys
import time

import pytest

PROGRAM = """
import contextlib, os, signal, sys, threading, time
from pathlib import Path
from features.commands import run_pipe
from features.errors import AudioError

def run(command):
    with contextlib.suppress(AudioError), run_pipe(command):
        pass

if __name__ == "__main__":
    waits = "sleep 1000 & echo $! > {}.new; mv {}.new {}; wait".format
    short = "while [ ! -e b ]; do sleep 0.01; done"
    for command in (waits(*"aaa"), short, waits(*"bbb")):
        thread = threading.Thread(target=run, args=(command,), daemon=True)
        thread.start()
        time.sleep(0.1)
    while not Path("a").exists() or not Path("b").exists() or threading.active_count() > 3:
        time.sleep(0.01)
    child = os.fork()
    if not child:
        run("echo")  # of its own
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.2)
    for name in "ab":
        os.kill(int(Path(name).read_text()), 0)  # they are at work still
    print("at work", flush=True)
    exec(sys.argv[1])
"""


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)", "sys.exit(3)"]
)
def test_no_command_outlives_its_process(tmp_path, end, gone):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, str(program), end],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert (ended.stdout, ended.stderr) == ("at work\n", "")
    deadline = time.monotonic() + 5
    while not all(gone(int((tmp_path / name).read_text())) for name in "ab"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
