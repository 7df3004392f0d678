"""Long audio in pieces: samples and features of hours in the memory of a minute."""

import os
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile
import soxr

from features.audio import check_heard, mixed, read_part, resample
from features.errors import AudioError, DataError, counted
from features.parts import WHOLE, Part
from features.sounds import heard
from features.spectral import FeatureOptions
from features.streams import FeatureStream

_PIECE_S = 60.0  # what is no longer is read at once


def _mono_blocks(
    sound: soundfile.SoundFile, name: str, part: Part
) -> Iterator[np.ndarray]:
    """The samples of an open file's part, a piece at a time."""
    first, last = part.bounds(sound.frames, sound.samplerate, name)
    left = last - first
    if first:
        sound.seek(first)
    while left > 0:
        wanted = min(left, round(_PIECE_S * sound.samplerate))
        block = sound.read(wanted, dtype="float32", always_2d=True)
        if len(block) < wanted:
            raise AudioError(
                f"{name}: truncated: {counted(left - len(block), 'sample')} fewer than the header "
                "promises; copy it again"
            )
        left -= wanted
        yield mixed(block, name, part.channel)


def read_pieces(
    source: str | os.PathLike[str],
    part: Part = WHOLE,
    *,
    rate_hz: int,
    allow_pipes: bool = False,
) -> Iterator[np.ndarray]:
    """Reads audio as `read_audio` does, but what is long piece by piece.

    Args:
        source: a path, or as in `wav.scp` a command that ends in `|`.
        part: what of it is wanted.
        rate_hz: the rate wanted.
        allow_pipes: whether a command may be run.

    Yields:
        [S] float32 in [-1, 1], one after the other without gap or overlap.

    Raises:
        AudioError: as `read_audio`; what only shows in a later piece is raised there.
    """
    name = os.fspath(source)
    with heard(name, allow_pipes=allow_pipes) as sound:
        rate = sound.samplerate
        end = sound.frames / rate if part.end is None else part.end
        if end - part.start <= _PIECE_S:
            yield resample(read_part(sound, name, part), rate, rate_hz)
        else:
            yield from _long_pieces(sound, name, rate_hz, part)


def _long_pieces(
    sound: soundfile.SoundFile, name: str, rate_hz: int, part: Part
) -> Iterator[np.ndarray]:
    """Samples [S] float32 of a long part of an open file, checked, a piece at a time."""
    rate, audible = sound.samplerate, False
    changed = soxr.ResampleStream(rate, rate_hz, 1, dtype="float32", quality="HQ")
    for block in _mono_blocks(sound, name, part):
        audible = audible or bool(block.any())
        yield block if rate == rate_hz else changed.resample_chunk(block)
    if rate != rate_hz:
        yield changed.resample_chunk(np.zeros(0, np.float32), last=True)
    if not audible:
        check_heard(np.zeros(1, np.float32), name)


def feature_pieces(
    pieces: Iterable[np.ndarray], options: FeatureOptions
) -> Iterator[np.ndarray]:
    """Makes features of a waveform that comes in pieces; equal to those of the whole.

    Args:
        pieces: [S] float32 each, in [-1, 1] at `options.rate_hz`.
        options: kind and settings.

    Yields:
        [T, F] float32, T >= 1, in order.

    Raises:
        DataError: all pieces together are shorter than one frame.
    """
    stream = FeatureStream(options)
    made = False
    for piece in pieces:
        frames = stream.hear(piece)
        if len(frames):
            made = True
            yield frames
    if not made:
        raise DataError(
            f"{counted(stream.pending, 'sample')}, less than one frame of {options.frame_length}; "
            "remove it from the list"
        )
