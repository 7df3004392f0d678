"""The phones of a recording in little memory: one of hours has some hundred thousand."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

# As objects of Python each would take two hundred bytes and more.
FOUND = np.dtype(
    [
        ("phone", np.int32),
        ("start", np.int32),
        ("end", np.int32),
        ("confidence", np.float64),
    ]
)
_TIMED = np.dtype(
    [
        ("symbol", np.int32),
        ("start", np.float64),
        ("end", np.float64),
        ("confidence", np.float64),
    ]
)
BLOCK = 4096  # phones that are objects at a time

Row = tuple[str, float, float, float]


def join(windows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The phones of a recording; one that a cut went through is one again.

    Args:
        windows: the phones of every window, in order: [N] of `FOUND` each, a phone id over
            network frames `start` to `end` (not included) of the recording.

    Yields:
        [N] of `FOUND`; the confidence of what was cut is the mean over its frames.
    """
    last = np.zeros(0, FOUND)  # the phone that the next window may begin amid
    for phones in windows:
        both = np.concatenate([last, phones])
        if len(last) and len(phones) and _cut(both[0], both[1]):
            both[1] = _mended(both[0], both[1])
            both = both[1:]
        yield both[:-1]
        last = both[-1:]
    yield last


def _cut(old: np.void, new: np.void) -> bool:
    return bool(old["phone"] == new["phone"] and old["end"] == new["start"])


def _mended(old: np.void, new: np.void) -> tuple[int, int, int, float]:
    """Two parts of a phone as one."""
    phone, start, middle, sure = old.item()
    _, _, end, more_sure = new.item()
    long, more = middle - start, end - middle
    return phone, start, end, (sure * long + more_sure * more) / (long + more)


class Phones:
    """Phones in time: iterates over symbol, start, end (in seconds) and confidence.

    Args:
        rows: the phones; taken one by one, and held as numbers.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        numbers: dict[str, int] = {}
        numbered = (
            (numbers.setdefault(symbol, len(numbers)), start, end, confidence)
            for symbol, start, end, confidence in rows
        )
        self._blocks = []  # one array would be copied as it grows
        while len(block := np.fromiter(islice(numbered, BLOCK), _TIMED)):
            self._blocks.append(block)
        self._symbols = tuple(numbers)

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    def __iter__(self) -> Iterator[Row]:
        for block in self._blocks:
            for symbol, start, end, confidence in block.tolist():
                yield self._symbols[symbol], start, end, confidence
