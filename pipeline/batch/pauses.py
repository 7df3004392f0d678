"""Where a recording is quiet enough to be cut, found while it is read."""

import numpy as np

_SHORTEST = 0.5  # of the longest window: where the search for a pause begins


def smoothed(energies: np.ndarray, width: int) -> np.ndarray:
    """The mean over `width` frames around each of [T]."""
    if width < 2 or len(energies) < width:
        return energies
    return np.convolve(energies, np.full(width, 1 / width), mode="same")


class Pauses:
    """Cuts a recording of any length at its pauses, in the memory of one window.

    Args:
        longest: frames of a window, >= 1.
        width: frames that energies are averaged over before the quietest place is taken.
    """

    def __init__(self, *, longest: int, width: int = 1) -> None:
        self._longest, self._width = longest, width
        self._cuts = [0]
        self._held = np.zeros(0, np.float32)  # what later cuts depend on
        self._first = 0  # frame that `_held` begins with

    @property
    def frames(self) -> int:
        """How many were heard so far."""
        return self._first + len(self._held)

    def hear(self, energies: np.ndarray) -> None:
        """Goes on by the energies [T] of some frames."""
        self._held = np.concatenate([self._held, energies])
        # Averages of the last frames are known only with those that follow.
        self._cut(self.frames - self._width)

    def _cut(self, end: int) -> None:
        """Makes the cuts that depend on no frame from `end` on."""
        averages = smoothed(self._held, self._width)
        while end - self._cuts[-1] > self._longest:
            begin = self._cuts[-1] + max(1, int(self._longest * _SHORTEST))
            last = self._cuts[-1] + self._longest
            stretch = averages[begin - self._first : last + 1 - self._first]
            self._cuts.append(begin + int(stretch.argmin()))
        first = max(0, self._cuts[-1] - self._width)
        self._held = self._held[first - self._first :]
        self._first = first

    def finish(self, frames: int) -> list[int]:
        """Where windows begin, and the end; each window has at most `longest` frames.

        Args:
            frames: of the recording; those that were not heard are like the last that was.
        """
        self.hear(np.repeat(self._held[-1:], frames - self.frames))
        self._cut(self.frames)
        return [*self._cuts, self.frames]
