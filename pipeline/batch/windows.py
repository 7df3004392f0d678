"""Recordings of any length as windows of network input, cut at pauses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from features.errors import DataError
from features.frontend import FrontendOptions, transform
from features.normalize import CmvnStats
from features.pieces import feature_pieces, read_pieces
from features.spectral import FeatureOptions
from pipeline.batch.items import Item
from pipeline.batch.pauses import Pauses

LONGEST_S = 30.0
_LONGEST_FRAMES = 1600  # of the network: bounds the memory of a batch
CONTEXT_S = 1.0  # heard by the network on both sides of a cut, then dropped
PAUSE_S = 0.2  # energies are averaged over so long before the quietest place is taken


@dataclass(frozen=True)
class Window:
    """A stretch of a recording, ready for the network; places are network frames.

    Attributes:
        frames: [T, F] float32 network input, context included; samples [N] where the front
            end is in the model.
        first: of the recording's frames, the first that this window answers for.
        count: frames it answers for.
        skipped: frames of context before them.
        total: frames of the whole recording.
        seconds: length of the whole recording.
    """

    frames: np.ndarray
    first: int
    count: int
    skipped: int
    total: int
    seconds: float


def check_again(read: int, *, before: int) -> None:
    """Checks that a second reading ends where the first did; both in frames, or samples.

    Raises:
        DataError: it ends earlier.
    """
    if read < before:
        raise DataError(
            "shorter when it was read again, for its windows: it changed meanwhile, or its "
            "command prints something else each time; give the same command again"
        )


@dataclass(frozen=True)
class Listener:
    """What a model wants to hear.

    Attributes:
        features, frontend: of its recipe.
        global_stats: for `cmvn: global`.
        allow_pipes: whether commands may be run.
        fixed_stats: for all audio, whatever the front end asks for.
    """

    features: FeatureOptions
    frontend: FrontendOptions
    global_stats: CmvnStats | None = None
    allow_pipes: bool = False
    fixed_stats: CmvnStats | None = None

    @property
    def longest(self) -> int:
        """Network frames of the longest window."""
        return min(_LONGEST_FRAMES, self._network_frames(LONGEST_S))

    def _network_frames(self, seconds: float) -> int:
        shift = self.features.frame_shift_ms * self.frontend.skip / 1000
        return max(1, round(seconds / shift))

    def _pieces(self, item: Item, counted: list[int]) -> Iterator[np.ndarray]:
        """The recording's features; its samples are counted into `counted[0]`."""
        samples = read_pieces(
            item.source,
            item.part,
            rate_hz=self.features.rate_hz,
            allow_pipes=self.allow_pipes,
        )

        def counting() -> Iterator[np.ndarray]:
            for piece in samples:
                counted[0] += len(piece)
                yield piece

        return feature_pieces(counting(), self.features)

    def _chosen_stats(
        self, own: CmvnStats, given: CmvnStats | None
    ) -> CmvnStats | None:
        """The statistics that the front end asks for; a file without a speaker is its own."""
        if self.fixed_stats is not None:
            return self.fixed_stats
        match self.frontend.cmvn:
            case "none":
                return None
            case "global" if self.global_stats is not None:
                return self.global_stats
            case "speaker" if given is not None:
                return given
        return own

    def _energies(self, frames: np.ndarray) -> np.ndarray:
        """One figure a frame that is low in pauses: mean log-mel energy, or C0."""
        return frames.mean(axis=1) if self.features.kind == "fbank" else frames[:, 0]

    def windows(self, item: Item, speaker: CmvnStats | None = None) -> Iterator[Window]:
        """Yields the windows of a recording in order; memory does not grow with its length.

        A recording that fits one window is read once. A longer one is read twice: for
        its statistics and pauses, and for its windows.

        Args:
            item: what to read.
            speaker: statistics of its speaker where they are known.

        Raises:
            DataError: the audio is bad.
        """
        skip, counted = self.frontend.skip, [0]
        fits = self.longest * skip
        held: list[np.ndarray] = []
        energies: list[np.ndarray] = []  # pauses did not hear them yet
        stats: CmvnStats | None = None
        width = self._network_frames(PAUSE_S)
        pauses = Pauses(longest=self.longest, width=width)
        total = 0
        for frames in self._pieces(item, counted):
            new = CmvnStats.from_frames(frames)
            stats = new if stats is None else stats + new
            energies.append(self._energies(frames[-total % skip :: skip]))
            total += len(frames)
            if total <= fits:
                held.append(frames)
                continue
            # Only now a recording is one that is cut.
            pauses.hear(np.concatenate(energies, dtype=np.float32))
            energies.clear()
        chosen = self._chosen_stats(stats, speaker) if stats is not None else None
        seconds = counted[0] / self.features.rate_hz
        if total <= fits:
            inputs = transform(np.concatenate(held), chosen, self.frontend)
            yield Window(inputs, 0, len(inputs), 0, len(inputs), seconds)
            return
        held.clear()
        cuts = pauses.finish(pauses.frames)
        yield from self._cut(self._pieces(item, [0]), cuts, chosen, total, seconds)

    def _cut(
        self,
        pieces: Iterable[np.ndarray],
        cuts: list[int],
        stats: CmvnStats | None,
        total: int,
        seconds: float,
    ) -> Iterator[Window]:
        """Windows between cuts, with context, of `total` features that come in pieces."""
        skip, context = self.frontend.skip, self._network_frames(CONTEXT_S)
        stream = iter(pieces)
        buffer = next(stream)
        offset = 0  # feature frame that `buffer` begins with
        for first, end in zip(cuts, cuts[1:], strict=False):
            begin = max(0, first - context)
            until = min(cuts[-1], end + context)
            while offset + len(buffer) < until * skip:
                piece = next(stream, None)
                if piece is None:
                    check_again(offset + len(buffer), before=total)
                    break  # the last network frame may hold fewer features
                buffer = np.concatenate([buffer[begin * skip - offset :], piece])
                offset = begin * skip
            frames = buffer[begin * skip - offset : until * skip - offset]
            inputs = transform(frames, stats, self.frontend)
            yield Window(inputs, first, end - first, first - begin, cuts[-1], seconds)
