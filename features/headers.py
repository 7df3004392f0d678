"""Headers of audio files: what they promise, and whether it is there."""

import contextlib
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from features.chunks import promised
from features.errors import AudioError

_RIFF_MAGIC = b"RIFF"
_FLAC_MAGIC = b"fLaC"
_FLAC_FRAME = 10, 65535  # bytes of a frame at least, and samples in it at most
_SPHERE_MAGIC = b"NIST_1A"
_OGG_MAGIC = b"OggS"
_OGG_HEADER = 27  # bytes of a page's header before its table of segments
_OGG_LARGEST = _OGG_HEADER + 255 + 255 * 255  # a page of 255 segments of 255 bytes
_OGG_END = 4  # the flag of a stream's last page


def _sphere_fields(file: BinaryIO) -> dict[str, str] | None:
    """The fields of a NIST SPHERE header, and `bytes`, the size of what follows it."""
    if file.read(8).strip() != _SPHERE_MAGIC:
        return None
    try:
        size = int(file.read(8))
    except ValueError:
        return None
    text = file.read(max(0, min(size, 1 << 16) - 16)).decode("latin-1")
    rows = (line.split(maxsplit=2) for line in text.splitlines())
    fields = {row[0]: row[2] for row in rows if len(row) == 3}
    return {**fields, "bytes": str(file.seek(0, os.SEEK_END) - size)}


def _check_sphere(fields: dict[str, str], name: str) -> None:
    if "shorten" in fields.get("sample_coding", ""):
        raise AudioError(
            f"{name}: SPHERE compressed with shorten, which is not supported; "
            "unpack it once with sph2pipe (from the LDC)"
        )
    needed = ("sample_count", "sample_n_bytes", "channel_count")
    if all(fields.get(field, "").isdigit() for field in needed):
        count, width, channels = (int(fields[field]) for field in needed)
        if count * width * channels > int(fields["bytes"]):
            there, promised = fields["bytes"], count * width * channels
            raise AudioError(
                f"{name}: truncated: {there} bytes of samples where the header promises "
                f"{promised}; copy it again"
            )


def _last_ogg_page(tail: bytes) -> bytes:
    """The last page that begins in the end of a file, with what follows it; empty if none."""
    place = len(tail)
    while (place := tail.rfind(_OGG_MAGIC, 0, place)) >= 0:
        page = tail[place:]
        # Sound may hold the magic by chance, but hardly version 0 and no more than three flags.
        if len(page) < 6 or (page[4] == 0 and page[5] < 8):
            return page
    return b""


def _check_ogg(file: BinaryIO, name: str) -> None:
    """Checks that the last page of an Ogg file is all there, and ends its stream.

    What programs put behind it, such as tags, is passed over.

    References:
        RFC 3533, section 6: the header of a page.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _OGG_LARGEST))
    page = _last_ogg_page(file.read())
    segments = page[26] if len(page) >= _OGG_HEADER else 0
    body = _OGG_HEADER + segments
    if not page:
        fault = "no page at its end"
    elif len(page) < body + sum(page[_OGG_HEADER:body]):
        fault = "its last page is cut short"
    elif not page[5] & _OGG_END:
        fault = "its last page does not end the stream"
    else:
        return
    raise AudioError(
        f"{name}: truncated: {fault}; copy it again, or convert what is there to WAV"
    )


def _check_flac(file: BinaryIO, name: str) -> None:
    """Checks the length that a FLAC file tells, behind its magic.

    References:
        RFC 9639, sections 8.1 and 8.2: metadata blocks, of which the first is streaminfo.
    """
    info = file.read(4 + 34)
    samples = int.from_bytes(info[17:22]) & ((1 << 36) - 1)
    least, most = _FLAC_FRAME
    if len(info) < 4 + 34:
        return  # libsndfile tells of it
    if not samples:
        raise AudioError(
            f"{name}: FLAC that does not tell its length, as encoders leave it that write into a "
            "pipe; decode it to WAV, or encode it into a file"
        )
    if samples > (file.seek(0, os.SEEK_END) // least + 1) * most:
        raise AudioError(
            f"{name}: truncated or damaged: its header promises {samples} samples, more than "
            "the file can hold; copy it again"
        )


@contextlib.contextmanager
def _with_size(file: BinaryIO, start: int, size: int) -> Iterator[BinaryIO]:
    """A copy of a RIFF file whose header tells how many bytes of samples are there."""
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.seek(start - 4)
        copy.write(struct.pack("<I", min(size, 0xFFFFFFFF)))
        copy.seek(0)
        yield copy


@contextlib.contextmanager
def checked(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """A file that holds what its header promises, which libsndfile does not check.

    A WAV whose header tells of no bytes, though some follow, was streamed by a program that did
    not know how many would come; libsndfile hears nothing then, so it gets a copy.

    Raises:
        AudioError: it does not.
    """
    if not file.read(1):
        raise AudioError(f"{name}: empty file; remove it or copy it again")
    file.seek(0)
    samples = promised(file)
    if samples and not samples.kept:
        raise AudioError(
            f"{name}: truncated: {samples.there} bytes of samples where the header promises "
            f"{samples.size}; copy it again"
        )
    file.seek(0)
    magic = file.read(4)
    if magic == _OGG_MAGIC:
        _check_ogg(file, name)
    elif magic == _FLAC_MAGIC:
        _check_flac(file, name)
    file.seek(0)
    fields = _sphere_fields(file)
    if fields is not None:
        _check_sphere(fields, name)
    file.seek(0)
    if samples and magic == _RIFF_MAGIC and samples.size == 0 and samples.there:
        with _with_size(file, samples.start, samples.there) as copy:
            yield copy
    else:
        yield file
