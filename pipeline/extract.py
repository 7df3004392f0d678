"""Stage extract: audio -> features, CMVN statistics and lengths, in the data dir itself."""

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from features.archive import ArchiveWriter
from features.audio import read_audio, resample
from features.augment import speed
from features.errors import AudioError, DataError, counted
from features.normalize import CmvnStats
from features.parts import Part
from features.spectral import FeatureOptions, compute_features
from pipeline.batch.crew import Crewing
from pipeline.config import load, save
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.further import read_speeds
from pipeline.datadir.tables import write_table
from pipeline.stage import Accounting, Stamp, note, progress

_BLOCK = 32  # utterances a worker is given at a time
_SLOWEST, _FASTEST = 0.5, 2.0
_OUTPUTS = (
    "feats.ark",
    "feats.scp",
    "cmvn.ark",
    "cmvn.scp",
    "utt2num_frames",
    "utt2dur",
    "features.yaml",
)


@dataclass(frozen=True)
class Job:
    """One utterance to make features of."""

    utt: str
    source: str
    part: Part
    speed: float


@dataclass
class Result:
    """What became of an utterance.

    Attributes:
        features: [T, F] float32; None when `fault` says why not.
        duration: seconds of audio, after a change of speed.
        rate_hz: of the audio file.
        fault: what is wrong and the mend, or empty.
    """

    utt: str
    features: np.ndarray | None = None
    duration: float = 0.0
    rate_hz: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Reading:
    """How audio is read: the features wanted, and what is allowed."""

    options: FeatureOptions
    allow_pipes: bool
    rate: Literal["resample", "refuse"]


def audio_state(data: DataDir) -> str:
    """Identifies the audio files by size and time, so that a changed one is noticed."""
    total = hashlib.sha256()
    for recording, entry in sorted(data.wav.items()):
        total.update(f"{recording} {entry}".encode())
        if not entry.endswith("|") and os.path.isfile(entry):
            state = os.stat(entry)
            total.update(f"{state.st_size} {state.st_mtime_ns}".encode())
    return total.hexdigest()


def make_jobs(data: DataDir) -> list[Job]:
    """Lists the utterances with the audio they are cut from, in their sorted order.

    Raises:
        DataError: an utterance has no recording, or a speed is out of range.
    """
    path = Path(data.path) / "utt2speed"
    speeds = read_speeds(path) if path.exists() else {}
    faults, jobs = [], []
    for utt in data.utterances:
        segment = None
        if data.segments is not None:
            if utt not in data.segments:
                faults.append(
                    f"{data.path}/segments: no segment of utterance {utt!r}; add it, or "
                    "keraldi validate --fix removes the utterance"
                )
                continue
            segment = data.segments[utt]
            if segment.start < 0 or (
                segment.end != -1 and segment.end <= segment.start
            ):
                faults.append(
                    f"{data.path}/segments: {utt!r} from {segment.start} s to {segment.end} s: "
                    "expected 0 <= start < end, or -1 for the end; mend the times"
                )
        recording = segment.recording if segment else utt
        if not data.wav.get(recording):
            what = "no path of" if recording in data.wav else "no"
            faults.append(
                f"{data.path}/wav.scp: {what} recording {recording!r} for utterance {utt!r}; "
                "add it, or keraldi validate --fix removes the utterance"
            )
            continue
        factor = speeds.get(utt, 1.0)
        if not _SLOWEST <= factor <= _FASTEST:
            faults.append(
                f"{path}: {utt!r}: speed {factor}: expected {_SLOWEST} to {_FASTEST}"
            )
        jobs.append(Job(utt, data.wav[recording], data.part_of(utt), factor))
    if faults:
        raise DataError.of(faults)
    return jobs


def _extract_one(job: Job, reading: Reading) -> Result:
    """Makes one utterance's features."""
    wanted = reading.options.rate_hz
    try:
        samples, rate = read_audio(
            job.source, job.part, allow_pipes=reading.allow_pipes
        )
        if rate != wanted and reading.rate == "refuse":
            raise AudioError(
                f"{job.source}: {rate} Hz where features want {wanted} Hz; set rate_hz to it, "
                "or leave out --rate refuse"
            )
        samples = speed(resample(samples, rate, wanted), job.speed, wanted)
        frames = compute_features(np.ascontiguousarray(samples), reading.options)
    except DataError as error:
        return Result(job.utt, fault=str(error))
    return Result(job.utt, frames, len(samples) / wanted, rate)


def _extract_block(jobs: Sequence[Job], *, reading: Reading) -> list[Result]:
    with threadpool_limits(limits=1):
        return [_extract_one(job, reading) for job in jobs]


def _lost(job: Job) -> Result:
    return Result(job.utt, fault=f"{job.source}: two workers died of it; look at it")


def _batched(jobs: Iterable[Job]) -> Iterator[tuple[Job, ...]]:
    stream = iter(jobs)
    while block := tuple(itertools.islice(stream, _BLOCK)):
        yield block


@dataclass
class Tables:
    """What extract gathers while features stream past."""

    stats: dict[str, CmvnStats] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)
    durations: dict[str, str] = field(default_factory=dict)
    resampled: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, result: Result, speaker: str) -> None:
        """Adds one utterance that has features."""
        frames = result.features
        if frames is None:
            raise DataError(result.fault)
        new = CmvnStats.from_frames(frames)
        self.stats[speaker] = (
            self.stats[speaker] + new if speaker in self.stats else new
        )
        self.frames[result.utt] = str(len(frames))
        self.durations[result.utt] = f"{result.duration:.4f}"


def _write_features(
    data: DataDir,
    jobs: list[Job],
    reading: Reading,
    stamp: Stamp,
    *,
    crewing: Crewing,
    compress: bool,
    skip_bad: bool,
) -> tuple[Tables, Accounting]:
    """Streams features into the archive; nothing appears when an utterance is bad.

    Raises:
        DataError: lists every bad utterance (unless they are to be left out).
    """
    folder, tables, accounting = Path(data.path), Tables(), Accounting()
    made = crewing.in_order(
        partial(_extract_block, reading=reading),
        _batched(jobs),
        _lost,
        marks=folder / ".stamps" / "marks",
    )
    results = progress(made, total=len(jobs), label=f"extract {folder}")
    with ArchiveWriter(
        folder / "feats.ark", folder / "feats.scp", compress=compress
    ) as writer:
        for result in results:
            if result.features is None:
                tables.faults.append(
                    f"{folder}: utterance {result.utt!r}: {result.fault}"
                )
                accounting.leave_out(result.utt, "bad audio")
                continue
            writer.write(result.utt, result.features)
            tables.add(result, data.utt2spk[result.utt])
            tables.resampled += result.rate_hz != reading.options.rate_hz
            accounting.keep()
        if tables.faults and not (skip_bad and accounting.kept):
            raise DataError.of(
                [*tables.faults, "--skip-bad leaves such utterances out"]
            )
        stamp.clear()
    return tables, accounting


def extract(
    data: str,
    *,
    config: str | None = None,
    nj: int = 1,
    scheduler: str | None = None,
    allow_pipes: bool = False,
    rate: Literal["resample", "refuse"] = "resample",
    compress: bool = False,
    skip_bad: bool = False,
) -> None:
    """Makes the features of a data dir, with CMVN statistics and lengths.

    Args:
        data: data dir; features and tables are written into it.
        config: YAML file of feature settings; the defaults when absent.
        nj: processes of this machine.
        scheduler: address of a running dask scheduler, whose workers do the work.
        allow_pipes: whether commands in wav.scp may be run.
        rate: what to do with audio of another rate than the features': resample or refuse.
        compress: write Kaldi's compressed archives, a quarter of the size.
        skip_bad: leave bad audio out, counted and named, instead of stopping.
    """
    crewing = Crewing(nj, scheduler)
    options = load(config, FeatureOptions) if config else FeatureOptions()
    reading = Reading(options, allow_pipes, rate)
    folder = Path(data)
    source = read_datadir(folder)
    stamp = Stamp.of(
        folder,
        "extract",
        settings={
            "features": asdict(options),
            "rate": rate,
            "compress": compress,
            "skip_bad": skip_bad,
            "audio": audio_state(source),
        },
        inputs=[folder / n for n in ("wav.scp", "segments", "utt2spk", "utt2speed")],
    )
    outputs = [folder / name for name in _OUTPUTS]
    if stamp.matches(*outputs):
        note(f"extract: {folder} is up to date")
        return
    jobs = make_jobs(source)
    if not jobs:
        raise DataError(f"{folder}/utt2spk: no utterances; run keraldi prepare")
    tables, accounting = _write_features(
        source,
        jobs,
        reading,
        stamp,
        crewing=crewing,
        compress=compress,
        skip_bad=skip_bad,
    )
    with ArchiveWriter(folder / "cmvn.ark", folder / "cmvn.scp") as writer:
        for speaker in sorted(tables.stats, key=str.encode):
            writer.write(speaker, tables.stats[speaker].matrix)
    write_table(folder / "utt2num_frames", tables.frames)
    write_table(folder / "utt2dur", tables.durations)
    save(folder / "features.yaml", options)
    stamp.write(*outputs)
    for fault in tables.faults:
        note(f"extract: left out: {fault}")
    if tables.resampled:
        note(
            f"extract: {counted(tables.resampled, 'file')} resampled to {options.rate_hz} Hz"
        )
    note(f"extract: {folder}: {accounting.line()}")
