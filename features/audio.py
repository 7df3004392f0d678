"""Audio of any kind as mono samples: parts of recordings, arrays, other rates."""

import math
import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from features.errors import AudioError, counted
from features.parts import WHOLE, Part
from features.sounds import heard

_LOUDEST_FLOAT = 4.0  # a lossy codec may pass 1; unscaled 16-bit samples pass this
# Samples that a header is believed: what is not filled takes no memory.
_TRUSTED = 1 << 28


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


def mixed(channels: np.ndarray, name: str, channel: int | None = None) -> np.ndarray:
    """One of the channels [S, C] of floats, or their mean: [S] float32.

    Raises:
        AudioError: there is no such channel, or as of `check_values`.
    """
    if channel is not None:
        if channel >= channels.shape[1]:
            raise AudioError(
                f"{name}: {counted(channels.shape[1], 'channel')}, counted from 0, but a segment "
                f"is of channel {channel}; mend segments"
            )
        channels = channels[:, channel : channel + 1]
    check_values(channels, name)
    narrow = channels.astype(np.float32, copy=False)
    return narrow.mean(axis=1) if narrow.shape[1] > 1 else narrow[:, 0]


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


def read_part(sound: soundfile.SoundFile, name: str, part: Part) -> np.ndarray:
    """Mono samples [S] float32 of an open file's part, checked."""
    first, last = part.bounds(sound.frames, sound.samplerate, name)
    if first:
        sound.seek(first)
    wanted = last - first
    channels = _read(sound, wanted)
    if len(channels) < wanted:
        raise AudioError(
            f"{name}: truncated: {len(channels)} of {wanted} samples; copy it again"
        )
    samples = mixed(channels, name, part.channel)
    check_heard(samples, name)
    return samples


def read_audio(
    source: str | os.PathLike[str],
    part: Part = WHOLE,
    *,
    rate_hz: int | None = None,
    allow_pipes: bool = False,
) -> tuple[np.ndarray, int]:
    """Reads audio as mono samples: WAV, FLAC, OGG, MP3, NIST SPHERE, or a command's output.

    Args:
        source: a path, or as in `wav.scp` a command that ends in `|`.
        part: what of it is wanted.
        rate_hz: the rate wanted; that of the file when None.
        allow_pipes: whether a command may be run.

    Returns:
        [S] float32 in [-1, 1], channels averaged unless one is wanted, and the rate in Hz they
        had in the file (they come back at `rate_hz`).

    Raises:
        AudioError: the file is missing, empty, truncated, silent, not finite or no audio, or
            a command is not allowed or fails.
    """
    name = os.fspath(source)
    with heard(name, allow_pipes=allow_pipes) as sound:
        samples, rate = read_part(sound, name, part), int(sound.samplerate)
    return (samples if rate_hz is None else resample(samples, rate, rate_hz)), rate


def audio_duration(path: str | os.PathLike[str]) -> float:
    """Length of an audio file in seconds, by its header; AudioError when it has none."""
    try:
        return float(soundfile.info(Path(path)).duration)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            f"{path}: cannot be read as audio ({error}); convert it to WAV"
        ) from None
