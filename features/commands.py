"""Commands of a `wav.scp`, whose output is audio."""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from features.errors import AudioError
from features.watcher import Watcher

MOST_PIPED = 4 << 30  # bytes that a command may print
_PIPED_AT_ONCE = 1 << 20
# Seconds without a byte after which nothing more is expected: a command that fetches or decodes
# begins within seconds, and one that waits for what never comes must not stop a corpus.
MOST_SILENT_S = 300.0

_lock = threading.Lock()
_running: set[int] = set()  # groups of processes
_watcher = Watcher()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def end_commands() -> None:
    """Kills all commands under way, whatever thread they were started by.

    They are in groups of their own, which Ctrl-C does not reach. Without being told they end
    with this process, even if it is killed: a watcher sees to it.
    """
    with _lock:
        for group in _running:
            _kill(group)


@contextlib.contextmanager
def _started(command: str, complaints: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the shell and its children as a group, of which none goes on after an error."""
    _watcher.start()
    with subprocess.Popen(
        command,
        shell=True,
        stdout=subprocess.PIPE,
        stderr=complaints,
        process_group=0,
    ) as process:
        with _lock:
            _running.add(process.pid)
            _watcher.begin(process.pid)
        try:
            yield process
        finally:
            with _lock:
                _running.discard(process.pid)
            if process.returncode is None:
                _kill(process.pid)
            _watcher.end(process.pid)


def _silent(command: str) -> AudioError:
    return AudioError(
        f"command {command!r}: printed nothing for {MOST_SILENT_S:g} s, and was ended; mend it, "
        "or write its sound into a file"
    )


def _printed(file: IO[bytes], command: str) -> Iterator[bytes]:
    """What a command prints, as it comes."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    while True:
        if not poll.poll(MOST_SILENT_S * 1000):
            raise _silent(command)
        block = os.read(file.fileno(), _PIPED_AT_ONCE)
        if not block:
            return
        yield block


@contextlib.contextmanager
def run_pipe(command: str) -> Iterator[BinaryIO]:
    """Runs a `wav.scp` command with the shell, and gives an open file of what it has printed.

    It is no memory, which a command could fill.

    Raises:
        AudioError: it fails, and what it said is part of the message; or it prints no end, or
            nothing for `MOST_SILENT_S`.
    """
    with tempfile.TemporaryFile() as sound:
        _print_into(sound, command)
        sound.seek(0)
        yield sound


def _print_into(sound: BinaryIO, command: str) -> None:
    """Runs a command to its end; see `run_pipe`."""
    with (
        tempfile.TemporaryFile() as complaints,
        _started(command, complaints) as process,
    ):
        for block in _printed(cast(IO[bytes], process.stdout), command):
            sound.write(block)
            if sound.tell() > MOST_PIPED:
                raise AudioError(
                    f"command {command!r}: prints more than {MOST_PIPED >> 20} MiB; write "
                    "its sound into a file"
                )
        try:
            status = process.wait(MOST_SILENT_S)
        except subprocess.TimeoutExpired:
            raise _silent(command) from None
        if status:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
            raise AudioError(
                f"command {command!r}: exit status {status}: "
                f"{said[0] if said else 'no message'}; mend it"
            )
