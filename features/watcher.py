"""A watcher of commands: they do not outlive the process that started them, however it ends."""

import atexit
import contextlib
import os
import subprocess
import threading

# Reads which groups of processes begin (+) and end (-). Input ends with the process that writes
# it, be it killed: then the watcher kills those that are left.
_WATCH = """
groups=' '
while read -r mark group; do
  case $mark in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""
_PATIENCE_S = 1.0  # for the watcher to end, at the end


class Watcher:
    """One process of the shell, started with the first command, that watches over all.

    To tell it costs microseconds, where a watcher for every command would cost milliseconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self._dismiss)
        os.register_at_fork(after_in_child=self._leave)

    def start(self) -> None:
        """Starts it, unless it is at work."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _WATCH],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    cwd="/",
                    start_new_session=True,  # Ctrl-C is not for it
                )

    def begin(self, group: int) -> None:
        """A group of processes that shall end with this one; `start` came before."""
        self._tell(f"+ {group}\n")

    def end(self, group: int) -> None:
        """A group that has ended."""
        self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            # Killed by somebody it watches no more: commands do without.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(line.encode())

    def _dismiss(self) -> None:
        """Has it end those that are left, and itself."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_S)

    def _leave(self) -> None:
        """A forked process has commands, and a watcher, of its own."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.returncode = 0  # no child of this process, which cannot wait for it
