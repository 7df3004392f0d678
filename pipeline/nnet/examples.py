"""Training examples: features through the front end, joined with their labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.archive import ArchiveReader
from features.errors import DataError, counted, named
from features.frontend import FrontendOptions, subsample_labels, transform
from features.normalize import CmvnStats
from pipeline.datadir.datadir import DataDir

_CACHE_BYTES = 2 << 30  # transformed features kept in memory, up to 2 GiB


class FeatureSource:
    """Network input of each utterance of a data dir, made as it is asked for.

    Args:
        data: a data dir with `feats.scp`, and `cmvn.scp` when the front end wants it.
        options: the front end.
        global_stats: statistics for `cmvn: global`; those of the data dir when None.
    """

    def __init__(
        self,
        data: DataDir,
        options: FrontendOptions,
        *,
        global_stats: CmvnStats | None = None,
    ) -> None:
        if not data.feats:
            raise DataError(f"{data.path}/feats.scp: no such file; run keraldi extract")
        self.data = data
        self.options = options
        self._feats = ArchiveReader(Path(data.path) / "feats.scp")
        self._speakers: dict[str, CmvnStats] = {}
        if options.cmvn in ("speaker", "global"):
            self._speakers = self._read_cmvn()
        self.global_stats = global_stats
        if options.cmvn == "global" and global_stats is None:
            total = list(self._speakers.values())
            self.global_stats = sum(total[1:], start=total[0])

    def _read_cmvn(self) -> dict[str, CmvnStats]:
        path = Path(self.data.path) / "cmvn.scp"
        if not path.exists():
            raise DataError(f"{path}: no such file; run keraldi extract")
        reader = ArchiveReader(path)
        absent = sorted(set(self.data.spk2utt) - set(reader))
        if absent:
            raise DataError(
                f"{path}: no statistics for speakers {', '.join(absent)}; run extract"
            )
        return {spk: CmvnStats(reader[spk]) for spk in self.data.spk2utt}

    def _stats(self, utt: str, frames: np.ndarray) -> CmvnStats | None:
        match self.options.cmvn:
            case "speaker":
                return self._speakers[self.data.utt2spk[utt]]
            case "global":
                return self.global_stats
            case "utterance":
                return CmvnStats.from_frames(frames)
        return None

    def raw(self, utt: str) -> np.ndarray:
        """The stored features of an utterance, [T, F] float32.

        Raises:
            DataError: they hold NaN or infinity.
        """
        frames = self._feats[utt]
        if not np.isfinite(frames).all():
            raise DataError(
                f"{self.data.path}/feats.scp: features of {utt!r} hold NaN or infinity; "
                "run keraldi extract again"
            )
        return frames

    def load(self, utt: str) -> np.ndarray:
        """What the network sees of an utterance: [T', F'] float32, T' = ceil(T / skip)."""
        frames = self.raw(utt)
        return transform(frames, self._stats(utt, frames), self.options)


@dataclass(frozen=True)
class Targets:
    """Labels of a set: one a frame (framewise, at the features' rate) or a sequence (CTC)."""

    labels: Mapping[str, np.ndarray]
    framewise: bool


def network_frames(num_frames: int, skip: int) -> int:
    """Frames left after the front end skips: ceil(T / skip)."""
    return -(-num_frames // skip)


def _check_lengths(data: DataDir, targets: Targets, skip: int) -> list[str]:
    """Lists every utterance whose labels do not fit its frames."""
    faults = []
    lengths = data.utt2num_frames or {}
    for utt, labels in targets.labels.items():
        frames = lengths[utt]
        if targets.framewise and len(labels) != frames:
            faults.append(
                f"{data.path}: utterance {utt!r} has {counted(frames, 'frame')} of features but "
                f"{counted(len(labels), 'label')}; align it again with these features"
            )
        repeats = int(np.sum(labels[1:] == labels[:-1]))
        needed = len(labels) + repeats  # CTC puts a blank between two alike
        if not targets.framewise and needed > network_frames(frames, skip):
            faults.append(
                f"{data.path}: utterance {utt!r} needs {counted(needed, 'network frame')} for "
                "its labels "
                f"but has {network_frames(frames, skip)}; lower frontend.skip or remove it"
            )
    return faults


class Examples:
    """Network inputs and labels of a set, by number.

    Args:
        source: the features.
        targets: the labels; utterances without labels are an error.
        label_delay: frames by which labels come late; inputs are prolonged as much.
    """

    def __init__(
        self, source: FeatureSource, targets: Targets, *, label_delay: int = 0
    ) -> None:
        data = source.data
        absent = sorted(set(data.utterances) - set(targets.labels))
        extra = sorted(set(targets.labels) - set(data.utterances))
        if absent or extra:
            raise DataError(
                f"{data.path}: no labels of {counted(len(absent), 'utterance')} "
                f"({named(absent, 5)}) "
                f"and no utterance of {counted(len(extra), 'label')} ({named(extra, 5)}); align "
                "this set"
            )
        if data.utt2num_frames is None:
            raise DataError(
                f"{data.path}/utt2num_frames: no such file; run keraldi extract"
            )
        faults = _check_lengths(data, targets, source.options.skip)
        if faults:
            raise DataError.of(faults)
        self._source = source
        self._targets = targets
        self._delay = label_delay
        self.keys = tuple(data.utterances)
        skip = source.options.skip
        self.lengths = tuple(
            network_frames(data.utt2num_frames[u], skip) + label_delay
            for u in self.keys
        )
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._cached_bytes = 0

    @property
    def framewise(self) -> bool:
        """Whether labels are one a frame."""
        return self._targets.framewise

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The input [T, F] float32 and labels [T] or [L] int32 of one utterance."""
        if index in self._cache:
            return self._cache[index]
        key = self.keys[index]
        frames = self._source.load(key)
        labels = np.asarray(self._targets.labels[key], np.int32)
        if self.framewise:
            labels = subsample_labels(labels, skip=self._source.options.skip)
        frames, labels = delay_labels(frames, labels, delay=self._delay)
        if self._cached_bytes + frames.nbytes < _CACHE_BYTES:
            self._cache[index] = frames, labels
            self._cached_bytes += frames.nbytes
        return frames, labels


def delay_labels(
    frames: np.ndarray, labels: np.ndarray, *, delay: int
) -> tuple[np.ndarray, np.ndarray]:
    """Repeats the last frame `delay` times and lets labels come as much later.

    Args:
        frames: [T, F].
        labels: [T] int32.
        delay: frames, >= 0.

    Returns:
        [T + delay, F] and [T + delay], the first `delay` labels being -1 (not counted).
    """
    if delay == 0:
        return frames, labels
    tail = np.repeat(frames[-1:], delay, axis=0)
    head = np.full(delay, -1, labels.dtype)
    return np.concatenate([frames, tail]), np.concatenate([head, labels])
