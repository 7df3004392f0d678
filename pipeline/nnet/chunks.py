"""A network that hears no future, chunk by chunk, whatever runs it."""

from collections.abc import Callable

import numpy as np

CHUNK = 8  # network frames run at once; fewer come sooner and cost more

Step = Callable[[np.ndarray], np.ndarray]


class ChunkStream:
    """Log-posteriors of frames that come in pieces of any length.

    Args:
        step: [CHUNK, F] network inputs to [CHUNK, S] log-posteriors; it keeps the states. Of the
            last chunk only the first rows are frames.
        dim: F.
        width: S.
        delay: network frames by which outputs come late.
    """

    def __init__(self, step: Step, *, dim: int, width: int, delay: int) -> None:
        self.delay = delay
        self._run, self._width = step, width
        self._late = delay  # outputs that speak of no frame yet
        self._frames = np.zeros((0, dim), np.float32)
        self._last = self._frames

    def _step(self, frames: np.ndarray) -> np.ndarray:
        """Runs [T, F] frames, T <= CHUNK; more can follow only where T is CHUNK."""
        count = len(frames)
        filled = np.zeros((CHUNK, frames.shape[1]), np.float32)
        filled[:count] = frames
        found = self._run(filled)[:count]
        dropped = min(self._late, count)
        self._late -= dropped
        return found[dropped:]

    def hear(self, frames: np.ndarray) -> np.ndarray:
        """The log-posteriors [T', S], T' >= 0, that are known with frames [T, F]."""
        if len(frames):
            self._last = frames[-1:]
        held = np.concatenate([self._frames, frames])
        whole = len(held) // CHUNK * CHUNK
        self._frames = held[whole:]
        steps = [self._step(held[i : i + CHUNK]) for i in range(0, whole, CHUNK)]
        return np.concatenate([np.zeros((0, self._width), np.float32), *steps])

    def finish(self) -> np.ndarray:
        """The log-posteriors that are still to come at the end."""
        late = self.hear(np.repeat(self._last, self.delay, axis=0))
        if not len(self._frames):
            return late
        return np.concatenate([late, self._step(self._frames)])
