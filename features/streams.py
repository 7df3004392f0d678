"""Audio as it comes in: samples, features and network frames, each as soon as it is known."""

import numpy as np
import soxr

from features.dynamics import delta_filters
from features.errors import AudioError
from features.frontend import FrontendOptions, transform
from features.kaldi import INT16_RANGE
from features.normalize import CmvnStats
from features.spectral import FeatureOptions, compute_features

_HEADERS = (b"RIFF", b"RIFX", b"NIST", b"fLaC", b"OggS", b"FORM")


class PcmStream:
    """Raw 16-bit little-endian mono samples, in pieces of any number of bytes.

    Args:
        rate_hz: their rate.
        to_hz: the rate wanted.
    """

    def __init__(self, rate_hz: int, to_hz: int) -> None:
        self._rest = b""
        self._begun = False
        self._changed = None
        if rate_hz != to_hz:
            self._changed = soxr.ResampleStream(
                rate_hz, to_hz, 1, dtype="float32", quality="HQ"
            )

    @property
    def pending(self) -> int:
        """Bytes of a sample that is not complete, 0 or 1."""
        return len(self._rest)

    def hear(self, content: bytes) -> np.ndarray:
        """The samples [S] float32 in [-1, 1) that are known with these bytes.

        Raises:
            AudioError: the first bytes are those of a file with a header.
        """
        content = self._rest + content
        if not self._begun and len(content) >= 4:
            self._begun = True
            if content.startswith(_HEADERS):
                raise AudioError(
                    f"standard input begins with {content[:4]!r}, a file's header; give raw "
                    "samples (sox FILE -t raw -b 16 -e signed -c 1 -), or the file without "
                    "--stream"
                )
        whole = len(content) // 2 * 2
        self._rest = content[whole:]
        samples = np.frombuffer(content[:whole], "<i2") / np.float32(INT16_RANGE)
        if self._changed is None:
            return samples
        return self._changed.resample_chunk(samples)

    def finish(self) -> np.ndarray:
        """The samples that are still to come at the end."""
        nothing = np.zeros(0, np.float32)
        if self._changed is None:
            return nothing
        return self._changed.resample_chunk(nothing, last=True)


class FeatureStream:
    """Features of a waveform that comes in pieces; equal to those of the whole.

    Args:
        options: kind and settings.
    """

    def __init__(self, options: FeatureOptions) -> None:
        self._options = options
        self._rest = np.zeros(0, np.float32)

    @property
    def pending(self) -> int:
        """Samples that are still to be used."""
        return len(self._rest)

    def hear(self, samples: np.ndarray) -> np.ndarray:
        """The features [T, F] float32, T >= 0, that are known with samples [S]."""
        rest = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        count = self._options.num_frames(len(rest))
        self._rest = rest[count * self._options.frame_shift :]
        if not count:
            return np.zeros((0, self._options.dim), np.float32)
        return compute_features(np.ascontiguousarray(rest), self._options)


class FrontendStream:
    """Network frames of features that come in pieces; equal to those of `transform`.

    Args:
        options: what is done to features.
        stats: for CMVN, known beforehand; None leaves it out.
        dim: F of the features.
    """

    def __init__(
        self, options: FrontendOptions, stats: CmvnStats | None, *, dim: int
    ) -> None:
        self._options, self._stats = options, stats
        self._frames = np.zeros((0, dim), np.float32)  # those that are still looked at
        self._first = 0  # where they begin, in network frames
        self._made = 0
        self._width = options.output_dim(dim)
        filters = delta_filters(order=options.deltas)
        reach = max((len(filter_) // 2 for filter_ in filters), default=0)
        self._behind = reach + options.splice_left
        self.ahead = reach + options.splice_right + options.stack - 1

    @property
    def _known(self) -> int:
        return self._first * self._options.skip + len(self._frames)

    def hear(self, frames: np.ndarray) -> np.ndarray:
        """The network frames [T', F'], T' >= 0, that are known with features [T, F]."""
        self._frames = np.concatenate([self._frames, frames])
        complete = self._known - self.ahead  # features with all that they look ahead at
        return self._make(-(-complete // self._options.skip))

    def finish(self) -> np.ndarray:
        """The network frames that are still to come at the end."""
        return self._make(-(-self._known // self._options.skip))

    def _make(self, until: int) -> np.ndarray:
        """The network frames before `until` that were not given yet."""
        if until <= self._made:
            return np.zeros((0, self._width), np.float32)
        outputs = transform(self._frames, self._stats, self._options)
        found = outputs[self._made - self._first : until - self._first]
        self._made = until
        skip = self._options.skip
        first = max(self._first, (until * skip - self._behind) // skip)
        self._frames = self._frames[(first - self._first) * skip :]
        self._first = first
        return found
