"""What is read of recordings, put into batches of like length."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.batch.items import Item
from pipeline.batch.windows import Window
from pipeline.nnet.recipe import ROWS

_POOLED = 8 * ROWS  # windows that are sorted by length among each other
POOLED_BYTES = 16 << 20  # network input read ahead
LONG = (
    500  # frames: of longer windows half as many go together, for the memory they take
)


@dataclass(frozen=True)
class Reading:
    """A window of an item."""

    item: Item
    window: Window


@dataclass(frozen=True)
class Fault:
    """Why an item, or the rest of it, cannot be read."""

    item: Item
    message: str


def _length(reading: Reading) -> int:
    return len(reading.window.frames)


class Pool:
    """Windows of any lengths, until there are enough of them for batches of like length.

    Few are enough at first: the network has work as soon as one batch is read. Then there are
    more, but never more than memory has room for.
    """

    def __init__(self) -> None:
        self._readings: list[Reading] = []
        self._bytes, self._most = 0, ROWS

    def add(self, reading: Reading) -> list[list[Reading]]:
        """Takes a window; the batches, when it was the last that they waited for."""
        self._readings.append(reading)
        self._bytes += reading.window.frames.nbytes
        if len(self._readings) < self._most and self._bytes < POOLED_BYTES:
            return []
        self._most = min(2 * self._most, _POOLED)
        return self.rest()

    def rest(self) -> list[list[Reading]]:
        """All that is there in batches of at most `ROWS`; nothing is there afterwards."""
        readings = sorted(self._readings, key=_length)
        self._readings, self._bytes = [], 0
        batches: list[list[Reading]] = []
        for start in range(0, len(readings), ROWS):
            batch = readings[start : start + ROWS]
            half = ROWS // 2 if _length(batch[-1]) > LONG else ROWS
            batches += filter(None, (batch[:half], batch[half:]))
        return batches


def groups(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    """The batches of a stream of windows, as `Pool` makes them."""
    pool = Pool()
    for reading in readings:
        yield from pool.add(reading)
    yield from pool.rest()
