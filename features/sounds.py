"""Sounds: files and the output of commands, opened for reading."""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

import soundfile

from features.commands import run_pipe
from features.errors import AudioError
from features.headers import checked

LOWEST_HZ = 1000  # no speech is sampled as slowly


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
