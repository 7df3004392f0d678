"""Standard error without the lines that libraries write on every machine."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, cast

# What TensorFlow's libraries say of every machine, or wherever no GPU is, before they can be
# told to be silent; and what TFLite always says.
_NOISE = (
    r"^WARNING: All log messages before absl::InitializeLog|^I[0-9]+ .* cudart_stub\.cc"
    r"|^I[0-9]+ .*oneDNN custom operations are on"
    r"|^INFO: Created TensorFlow Lite XNNPACK delegate for CPU"
)
_PATIENCE_S = 1.0
_ONE = threading.RLock()  # standard error is all threads'


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Lets standard error through, less `_NOISE`.

    Another process sorts the lines, for it outlives one that is aborted: what TensorFlow says
    of a processor too old for it must not be lost.
    """
    with _ONE:
        try:
            kept = os.dup(2)
            command = ["grep", "-a", "-v", "-E", _NOISE]
            sieve = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=kept)
        except OSError:  # no standard error, or no grep
            yield
            return
        with contextlib.closing(cast(IO[bytes], sieve.stdin)) as entry:
            os.dup2(entry.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            # Processes that a thread started meanwhile may write into the sieve for long.
            with contextlib.suppress(subprocess.TimeoutExpired):
                sieve.wait(_PATIENCE_S)
