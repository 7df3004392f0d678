"""Commands whose output is audio: whatever they do, reading them ends."""

import threading
import time

import pytest

from features import commands
from features.commands import end_commands, run_pipe
from features.errors import AudioError


def read(command: str) -> bytes:
    """What a command prints."""
    with run_pipe(command) as printed:
        return printed.read()


def test_a_command_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(commands, "MOST_PIPED", 1 << 20)
    with pytest.raises(AudioError, match="'yes ': prints more than 1 MiB; write its"):
        read("yes ")


@pytest.mark.parametrize("silence", ["wait", "exec >&-; wait"])
def test_a_silent_command_is_ended_with_its_children(
    tmp_path, monkeypatch, silence, gone
):
    monkeypatch.setattr(commands, "MOST_SILENT_S", 0.3)
    child = tmp_path / "child"
    redirected = "" if silence == "wait" else ">&-"
    command = f"echo sound; sleep 1000 {redirected} & echo $! > {child}; {silence}"
    with pytest.raises(AudioError, match="printed nothing for 0.3 s, and was ended; "):
        read(command)
    process = int(child.read_text())
    deadline = time.monotonic() + 5
    while not gone(process):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_commands_of_other_threads_can_be_ended():
    told = []

    def wait():
        try:
            read("sleep 1000")
        except AudioError as error:
            told.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    while thread.is_alive():
        end_commands()
        thread.join(0.05)
    assert told == ["command 'sleep 1000': exit status -9: no message; mend it"]


def test_a_slow_command_is_heard_to_its_end(monkeypatch):
    monkeypatch.setattr(commands, "MOST_SILENT_S", 2.0)
    assert read("for n in 1 2 3; do sleep 0.1; echo $n; done") == b"1\n2\n3\n"
