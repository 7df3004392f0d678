"""How far a run is: files, times real time, time left."""

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from pipeline.stage import note

if TYPE_CHECKING:
    from rich.progress import Progress

_PLAIN_S = 30.0  # between lines in a log file
_ROUNDING = 1e-6


def clock_time(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> clock_time(3725.2)
        '1:02:05'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Heard(NamedTuple):
    """A part of a recording is done, the whole not yet.

    Attributes:
        id: of the item.
        share: of the recording, 1 being all of it.
        seconds: of audio.
    """

    id: str
    share: float
    seconds: float


class Meter:
    """A bar on a terminal, a line every half minute in a log.

    Args:
        label: what is done.
        total: items to do.
        size: bytes of all of them: time left is told by bytes.
    """

    def __init__(self, label: str, *, total: int, size: int) -> None:
        self._label = label
        self._total, self._size = total, max(1, size)
        self.began = time.monotonic()
        self._told = self.began
        self._count = self._failed = 0
        self._bytes = 0.0
        self.audio_seconds = 0.0
        self._parts: dict[str, tuple[float, float]] = {}  # bytes and seconds heard of
        self._bar = _bar(label, self._size) if sys.stderr.isatty() else None

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def line(self) -> str:
        """One line: count, failures, rate, times real time, time left."""
        elapsed = max(self.elapsed, 1e-3)
        left = elapsed * (self._size - self._bytes) / max(self._bytes, 1)
        return (
            f"{self._label}: {self._count} of {self._total}, {self._failed} failed, "
            f"{self._count / elapsed:.1f} files/s, {self.audio_seconds / elapsed:.0f} times "
            f"real time, {clock_time(left)} left"
        )

    def hear(self, part: Heard, *, size: int) -> None:
        """Counts a part of an item of `size` bytes, but not what a second worker hears again."""
        bytes_before, seconds_before = self._parts.get(part.id, (0.0, 0.0))
        new = part.share * size
        if bytes_before + new > size * (1 + _ROUNDING):
            return
        self._parts[part.id] = bytes_before + new, seconds_before + part.seconds
        self._more(new, part.seconds)

    def add(self, name: str, *, size: int, seconds: float, failed: bool) -> None:
        """Counts one item, but what was heard of it before."""
        bytes_before, seconds_before = self._parts.pop(name, (0.0, 0.0))
        self._count += 1
        self._failed += failed
        self._more(size - bytes_before, seconds - seconds_before)

    def _more(self, size: float, seconds: float) -> None:
        self._bytes += size
        self.audio_seconds += seconds
        if self._bar is not None:
            (task,) = self._bar.task_ids
            self._bar.update(task, completed=self._bytes, description=self.line())
        elif time.monotonic() - self._told >= _PLAIN_S:
            self._told = time.monotonic()
            note(self.line())

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()


def _bar(label: str, size: int) -> "Progress":
    """A bar on the terminal, with one task."""
    # Only here: a log file has no bar, and a short run no time to load this.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    bar.add_task(label, total=size)
    bar.start()
    return bar
