"""Bytes of samples that the headers of chunked formats promise: WAV's relatives, AIFF, CAF, AU."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# What programs write that stream into a pipe; SoX the third.
_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF)
_MOST_CHUNKS = 10_000  # before the samples: a file of zeros would have millions
_LONGEST = 1 << 62  # no chunk is as long
_W64_TAIL = bytes.fromhex("2e91cf11a5d628db04c10000")  # of the GUID behind `riff`
_W64_HEAD = 24  # bytes of a chunk's GUID and size, which the size counts


@dataclass(frozen=True)
class Promise:
    """What a header says of the samples, and what is there.

    Attributes:
        size: bytes of samples that it promises.
        there: bytes that follow.
        start: where they begin.
    """

    size: int
    there: int
    start: int

    @property
    def known(self) -> bool:
        """Whether the size was known when the header was written."""
        return self.size not in _UNKNOWN_SIZES

    @property
    def kept(self) -> bool:
        """Whether all that is promised is there."""
        return not self.known or self.there >= self.size


def _chunks(file: BinaryIO, form: str) -> Iterator[tuple[bytes, int, int]]:
    """Names, sizes and places of the chunks from here on; `form` is of a name and a size."""
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = struct.unpack(form, head)
        place = file.tell()
        yield name, size, place
        file.seek(place + size + size % 2)


def _riff(file: BinaryIO, order: str) -> tuple[int, int] | None:
    """Size and place of a WAV's samples; those of RF64 may pass 4 GiB."""
    long_size = None
    for name, size, place in _chunks(file, f"{order}4sI"):
        if name == b"ds64":
            numbers = file.read(16)
            if len(numbers) == 16:
                long_size = struct.unpack("<QQ", numbers)[1]
        elif name == b"data":
            long = long_size is not None and size == 0xFFFFFFFF
            return (long_size or 0) if long else size, place
    return None


def _w64(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(40)  # behind the GUIDs `riff` and `wave`, and a size
    for _ in range(_MOST_CHUNKS):
        head = file.read(_W64_HEAD)
        if len(head) < _W64_HEAD:
            return None
        name, size = head[:4], int.from_bytes(head[16:], "little") - _W64_HEAD
        if name == b"data" or size < 0:
            return (size, file.tell()) if size >= 0 else None
        if size >= _LONGEST:
            return None
        file.seek(size + -size % 8, os.SEEK_CUR)
    return None


def _aiff(file: BinaryIO) -> tuple[int, int] | None:
    for name, size, place in _chunks(file, ">4sI"):
        if name == b"SSND":  # begins with an offset and a block size
            return max(0, size - 8), place + 8
    return None


def _caf(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(8)
    for _ in range(_MOST_CHUNKS):
        head = file.read(12)
        if len(head) < 12:
            return None
        name, size = struct.unpack(">4sq", head)
        if name == b"data":  # begins with a count of edits
            return max(0, size - 4), file.tell() + 4
        if size < 0 or size >= _LONGEST:
            return None
        file.seek(size, os.SEEK_CUR)
    return None


def _au(head: bytes) -> tuple[int, int]:
    start, size = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
    return size, start


def promised(file: BinaryIO) -> Promise | None:
    """What the header of a file promises; None of other formats, and where no samples are.

    References:
        RF64 and `ds64`: EBU Tech 3306. W64: Sony Pictures Digital's Wave64. AIFF: Apple's AIFF-C
        draft of 1991. CAF: Apple's Core Audio Format specification. AU: the header of SunOS's
        audio files.
    """
    head = file.read(12)
    if len(head) < 12:
        return None
    found = None
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        found = _riff(file, "<")
    elif head[:4] == b"RIFX" and head[8:] == b"WAVE":
        found = _riff(file, ">")
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        found = _aiff(file)
    elif head[:4] in (b".snd", b"dns."):
        found = _au(head)
    elif head == b"riff" + _W64_TAIL[:8]:
        found = _w64(file)
    elif head[:4] == b"caff":
        found = _caf(file)
    if found is None:
        return None
    size, start = found
    return Promise(size, max(0, file.seek(0, os.SEEK_END) - start), start)
