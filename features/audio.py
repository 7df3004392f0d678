"""Audio of any kind: opened, checked, mixed to mono, resampled."""

import contextlib
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from features.commands import run_pipe
from features.errors import AudioError
from features.headers import checked

_LOUDEST_FLOAT = 4.0  # a lossy codec may pass 1; unscaled 16-bit samples pass this
# Seconds that a segment may end past its recording, as of Kaldi's extract-segments.
OVERSHOOT = 0.5
# Samples that a header is believed: what is not filled takes no memory.
_TRUSTED = 1 << 28
LOWEST_HZ = 1000  # no speech is sampled as slowly


def check_values(samples: np.ndarray, name: str) -> None:
    """Checks floats [S] or [S, C], some of which there must be.

    Raises:
        AudioError: they are not finite, or were not scaled.
    """
    if not samples.size:
        raise AudioError(f"{name}: no samples; remove it from the list")
    loudest = max(float(samples.max()), -float(samples.min()))
    if not math.isfinite(loudest):
        raise AudioError(f"{name}: holds NaN or infinity; make the file again")
    if loudest > _LOUDEST_FLOAT:
        raise AudioError(
            f"{name}: floats up to {loudest:g}: expected -1 to 1; divide 16-bit samples by "
            "32768, or make them again"
        )


def check_heard(samples: np.ndarray, name: str) -> None:
    """AudioError when a signal is silent throughout."""
    if not samples.any():
        raise AudioError(
            f"{name}: silent, every sample is zero or its channels cancel out; record it again "
            "or remove it"
        )


def mixed(channels: np.ndarray, name: str) -> np.ndarray:
    """Channels [S, C] of floats averaged: [S] float32.

    Raises:
        AudioError: as of `check_values`.
    """
    check_values(channels, name)
    narrow = channels.astype(np.float32, copy=False)
    return narrow.mean(axis=1) if narrow.shape[1] > 1 else narrow[:, 0]


def check_rate(rate_hz: int, name: str) -> None:
    """Checks a sampling rate: speech has none below `LOWEST_HZ`, wrong headers may.

    Raises:
        AudioError: it is lower; brought to a model's rate some bytes would fill the memory.
    """
    if rate_hz < LOWEST_HZ:
        raise AudioError(
            f"{name}: {rate_hz} samples a second: expected at least {LOWEST_HZ}; mend the "
            "header or the rate"
        )


def mono_samples(array: np.ndarray, name: str = "array") -> np.ndarray:
    """A waveform in memory as Keraldi's samples.

    Args:
        array: [S] or, with channels, [S, C]; floats in [-1, 1], or integers of full scale,
            of 32 bits at most.
        name: for messages.

    Returns:
        [S] float32 in [-1, 1], channels averaged.

    Raises:
        AudioError: no samples, another shape or type, floats that were not scaled, NaN, or
            silence throughout.
    """
    values = np.asarray(array)
    if values.ndim == 2 and 0 < values.shape[0] < values.shape[1]:
        raise AudioError(
            f"{name}: shape {list(values.shape)}: expected [samples, channels]; transpose it"
        )
    if values.ndim not in (1, 2):
        raise AudioError(
            f"{name}: shape {list(values.shape)}: expected [samples] or [samples, channels]"
        )
    if values.dtype.kind in "iu" and values.dtype.itemsize > 4:
        raise AudioError(
            f"{name}: values of type {values.dtype}, of which no audio is; give the type they "
            "were recorded in, such as int16, or floats in [-1, 1]"
        )
    if values.dtype.kind == "f":
        samples = values
    elif values.dtype.kind in "iu":
        scale = 2.0 ** (8 * values.dtype.itemsize - 1)
        middle = scale if values.dtype.kind == "u" else 0.0
        samples = (values.astype(np.float64) - middle) / scale
    else:
        raise AudioError(
            f"{name}: values of type {values.dtype}: expected floats or integers"
        )
    mono = mixed(samples if samples.ndim == 2 else samples[:, None], name)
    check_heard(mono, name)
    return np.ascontiguousarray(mono)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Changes the sampling rate of [S] float32 samples with soxr's best quality but one."""
    if from_hz == to_hz:
        return samples
    return soxr.resample(samples, from_hz, to_hz, quality="HQ")


def open_sound(file: BinaryIO) -> soundfile.SoundFile:
    """The sound in an open file, from its beginning.

    libsndfile reads a file of the system by itself; anything else comes through Python, which
    takes longer and keeps other threads from theirs.

    Raises:
        soundfile.LibsndfileError: it is no audio.
    """
    try:
        descriptor = file.fileno()
    except OSError:  # bytes in memory
        return soundfile.SoundFile(file)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return soundfile.SoundFile(descriptor, closefd=False)


@contextlib.contextmanager
def sound_in(file: BinaryIO, name: str) -> Iterator[soundfile.SoundFile]:
    """The sound in an open file, which holds all that its header promises.

    Raises:
        AudioError: it is empty or truncated, its rate is far too low, or libsndfile cannot
            read it, now or later.
    """
    what = "cannot be read as audio"
    mend = "convert it to WAV, or remove it if it is damaged or none"
    try:
        with checked(file, name) as whole, open_sound(whole) as sound:
            check_rate(sound.samplerate, name)
            # Its beginning is good.
            what, mend = "truncated or damaged", "copy it again"
            yield sound
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = (
            str(error).removeprefix("Error opening ").split(": ", 1)[-1].rstrip(".")
        )
        raise AudioError(f"{name}: {what} ({reason}); {mend}") from None


@contextlib.contextmanager
def sound_of(name: str) -> Iterator[soundfile.SoundFile]:
    """The sound in a file of the system; the system's errors are Keraldi's, too.

    Raises:
        AudioError: the file is missing, no regular one or not to be read, or as of `sound_in`.
    """
    try:
        mode = os.stat(name).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            # To open a pipe would wait for somebody to write into it, maybe for ever.
            raise AudioError(
                f"{name}: a pipe, socket or device, not a file; write its sound into a file"
            )
        file = open(name, "rb")
    except FileNotFoundError:
        raise AudioError(
            f"{name}: no such file; mend its path (relative ones begin in the working folder)"
        ) from None
    except IsADirectoryError:
        raise AudioError(f"{name}: a folder, not a file; name its files") from None
    except PermissionError:
        raise AudioError(
            f"{name}: no permission to read it; change it with chmod"
        ) from None
    with file, sound_in(file, name) as sound:
        yield sound


def _told(seconds: float | None) -> str:
    """A time for a message; one that no recording reaches without its hundreds of digits."""
    if seconds is None:
        return "its end"
    return f"{seconds:.3f} s" if abs(seconds) < 1e7 else f"{seconds:g} s"


def bounds_of(
    sound: soundfile.SoundFile, name: str, start: float, end: float | None
) -> tuple[int, int]:
    """The first sample of a part from `start` to `end` seconds, and the one behind its last.

    Raises:
        AudioError: the part is of no length, or is not within the recording.
    """
    rate, total = sound.samplerate, sound.frames
    latest = total / rate + 1.0  # of far later times none would be a number of samples
    first = round(min(start, latest) * rate)
    last = total if end is None else round(min(end, latest) * rate)
    if start < 0 or (end is not None and end <= start):
        raise AudioError(
            f"{name}: a segment of it goes from {_told(start)} to {_told(end)}; mend segments"
        )
    if first >= total and total:
        raise AudioError(
            f"{name}: {_told(total / rate)} long, but a segment begins at {_told(start)}; "
            "mend segments"
        )
    if last > total + OVERSHOOT * rate:
        raise AudioError(
            f"{name}: {_told(total / rate)} long, but a segment ends at {_told(end)}; "
            "mend segments"
        )
    return first, max(first, min(last, total))


def _read(sound: soundfile.SoundFile, wanted: int) -> np.ndarray:
    """At most so many samples [S, C] float32; headers that promise too much cost no memory."""
    if wanted * sound.channels <= _TRUSTED:
        return sound.read(wanted, dtype="float32", always_2d=True)
    blocks, left = [], wanted
    while left:
        block = sound.read(
            min(left, _TRUSTED // sound.channels), dtype="float32", always_2d=True
        )
        blocks.append(block)
        if not len(block):
            break
        left -= len(block)
    return np.concatenate(blocks)


def part_of(
    sound: soundfile.SoundFile, name: str, start: float, end: float | None
) -> np.ndarray:
    """Mono samples [S] float32 from `start` to `end` seconds, checked."""
    first, last = bounds_of(sound, name, start, end)
    if first:
        sound.seek(first)
    wanted = last - first
    channels = _read(sound, wanted)
    if len(channels) < wanted:
        raise AudioError(
            f"{name}: truncated: {len(channels)} of {wanted} samples; copy it again"
        )
    samples = mixed(channels, name)
    check_heard(samples, name)
    return samples


def command_fault(source: str) -> str:
    """Why a command is not run."""
    return f"{source!r} is a command; --allow-pipes lets it run"


@contextlib.contextmanager
def heard(name: str, *, allow_pipes: bool) -> Iterator[soundfile.SoundFile]:
    """The sound in a file, or what a command prints; errors as of `read_audio`."""
    if not name.endswith("|"):
        with sound_of(name) as sound:
            yield sound
    elif allow_pipes:
        with run_pipe(name[:-1]) as printed, sound_in(printed, name) as sound:
            yield sound
    else:
        raise AudioError(command_fault(name))


def read_audio(
    source: str | os.PathLike[str],
    *,
    rate_hz: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    allow_pipes: bool = False,
) -> tuple[np.ndarray, int]:
    """Reads audio as mono samples: WAV, FLAC, OGG, MP3, NIST SPHERE, or a command's output.

    Args:
        source: a path, or as in `wav.scp` a command that ends in `|`.
        rate_hz: the rate wanted; that of the file when None.
        start, end: the part wanted, in seconds; all of it by default.
        allow_pipes: whether a command may be run.

    Returns:
        [S] float32 in [-1, 1], channels averaged, and the rate in Hz they had in the file
        (they come back at `rate_hz`).

    Raises:
        AudioError: the file is missing, empty, truncated, silent, not finite or no audio, or
            a command is not allowed or fails.
    """
    name = os.fspath(source).strip()
    with heard(name, allow_pipes=allow_pipes) as sound:
        samples, rate = part_of(sound, name, start, end), int(sound.samplerate)
    return (samples if rate_hz is None else resample(samples, rate, rate_hz)), rate


def audio_duration(path: str | os.PathLike[str]) -> float:
    """Length of an audio file in seconds, by its header; AudioError when it has none."""
    try:
        return float(soundfile.info(Path(path)).duration)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"{path}: cannot be read as audio ({error}); convert it to WAV"
        ) from None
