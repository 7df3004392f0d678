"""Segments: utterances that are cut from longer recordings."""

from dataclasses import dataclass

from features.parts import Part
from pipeline.datadir.rows import number_in

FORM = "recording, start, end and perhaps a channel from 0"


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording.

    Attributes:
        recording: its name in `wav.scp`.
        start, end: in seconds; an end of -1 is the recording's.
        channel: which one, from 0; None for the mean of all.
    """

    recording: str
    start: float
    end: float
    channel: int | None = None

    def __str__(self) -> str:
        """As a line of `segments` has it, without the utterance."""
        channel = "" if self.channel is None else f" {self.channel}"
        return f"{self.recording} {self.start:.4f} {self.end:.4f}{channel}"

    @property
    def part(self) -> Part:
        """The same without the recording's name."""
        return Part(self.start, self.end if self.end >= 0 else None, self.channel)


def parse_segment(value: str) -> Segment | None:
    """The segment of a line of `segments`, without the utterance; None where it is none.

    References:
        Kaldi's extract-segments, whose optional last field is the channel.
    """
    fields = value.split()
    if not 3 <= len(fields) <= 4:
        return None
    start, end = map(number_in, fields[1:3])
    if start is None or end is None:
        return None
    if not fields[3:]:
        return Segment(fields[0], start, end)
    channel = fields[3]
    known = channel.isascii() and channel.isdigit()
    return Segment(fields[0], start, end, int(channel)) if known else None
