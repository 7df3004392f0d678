"""Time marks: TIMIT's .PHN and CTM; and one label a frame from them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.errors import DataError, counted
from features.files import write_text
from pipeline.datadir.rows import number_in
from pipeline.datadir.tables import read_lines

TIMIT_RATE_HZ = 16000
_FEWEST_FIELDS, _MOST_FIELDS = 5, 8  # of a CTM line
_TIME_SLACK = 0.005  # marks are rounded to a few milliseconds in most corpora

OVERHANG = 0.1  # seconds that marks may go on behind the audio: tools round and pad


@dataclass(frozen=True)
class PhoneInterval:
    """A phone from `start` to `end`, in seconds."""

    phone: str
    start: float
    end: float
    confidence: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.start < self.end:
            raise DataError(
                f"phone {self.phone!r} from {self.start} s to {self.end} s: expected "
                "0 <= start < end; mend the times"
            )


def interval_at(place: str, phone: str, start: float, end: float) -> PhoneInterval:
    """An interval that stands at `place`, which is named where its times cannot be."""
    try:
        return PhoneInterval(phone, start, end)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None


def check_order(intervals: Iterable[PhoneInterval], place: str) -> None:
    """Checks that intervals come by time and do not overlap.

    Raises:
        DataError: one begins before the last one ends, by more than rounding.
    """
    for before, mark in itertools.pairwise(intervals):
        if mark.start < before.end - _TIME_SLACK:
            raise DataError(
                f"{place}: {mark.phone!r} begins at {mark.start:.3f} s, before the last phone "
                "ends; mend the times"
            )


def read_phn(path: str | Path) -> list[PhoneInterval]:
    """Reads TIMIT's `first_sample last_sample phone` lines (samples at 16 kHz).

    Raises:
        DataError: a line is not of that form; names the line.
    """
    intervals = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
            raise DataError(
                f"{path}:{number}: expected two sample numbers and a phone: {line!r}"
            )
        start, end = (int(field) / TIMIT_RATE_HZ for field in fields[:2])
        intervals.append(interval_at(f"{path}:{number}", fields[2], start, end))
    return intervals


def parse_ctm(
    line: str, place: str
) -> tuple[str, str, float, float, str, float | None]:
    """The fields of a CTM line, which stands at `place`.

    Returns:
        Utterance, channel, start and duration in seconds, token, and confidence if there is
        one. What NIST's form has behind it, type and speaker, is passed over.

    Raises:
        DataError: a field is missing, or is no number where one must be.
    """
    fields = line.split()
    if not _FEWEST_FIELDS <= len(fields) <= _MOST_FIELDS:
        raise DataError(
            f"{place}: expected utt channel start duration phone, and perhaps a confidence, got "
            f"{line!r}; mend it"
        )
    utt, channel, _, _, token, *rest = fields
    numbers = {"start": fields[2], "duration": fields[3]}
    numbers |= {"confidence": rest[0]} if rest else {}
    values = {what: number_in(field) for what, field in numbers.items()}
    for what, value in values.items():
        if value is None:
            raise DataError(
                f"{place}: {what} {numbers[what]!r}: expected a number; mend it"
            )
    start, duration, *sure = (value for value in values.values() if value is not None)
    return utt, channel, start, duration, token, sure[0] if sure else None


def read_ctm(path: str | Path) -> dict[str, list[PhoneInterval]]:
    """Reads `utt channel start duration phone [confidence]` lines.

    Returns:
        The intervals of every utterance, by time.

    Raises:
        DataError: a line is not of that form, a confidence is not from 0 to 1, or two phones
            of an utterance overlap.
    """
    found: dict[str, list[PhoneInterval]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        place = f"{path}:{number}"
        utt, _, begin, length, phone, sure = parse_ctm(line, place)
        if sure is not None and not 0.0 <= sure <= 1.0:
            raise DataError(
                f"{place}: confidence {sure:g} of {phone!r}: expected 0 to 1; mend it, or leave "
                "it out"
            )
        interval = replace(
            interval_at(place, phone, begin, begin + length), confidence=sure
        )
        others = found.setdefault(utt, [])
        if others and interval.start < others[-1].end - _TIME_SLACK:
            raise DataError(
                f"{place}: {phone!r} of {utt!r} begins before the last phone ends; "
                "mend the times"
            )
        others.append(interval)
    return found


def ctm_lines(utt: str, intervals: Iterable[PhoneInterval]) -> Iterator[str]:
    """The CTM lines of an utterance, on channel 1."""
    for mark in intervals:
        known = "" if mark.confidence is None else f" {mark.confidence:.3f}"
        length = mark.end - mark.start
        yield f"{utt} 1 {mark.start:.4f} {length:.4f} {mark.phone}{known}\n"


def write_ctm(
    path: str | Path, utterances: Mapping[str, Sequence[PhoneInterval]]
) -> None:
    """Writes CTM lines on channel 1, utterances sorted in the C locale."""
    names = sorted(utterances, key=str.encode)
    write_text(
        path, "".join(x for utt in names for x in ctm_lines(utt, utterances[utt]))
    )


def frame_labels(
    intervals: Sequence[PhoneInterval],
    *,
    num_frames: int,
    frame_shift: float,
    frame_length: float,
) -> list[str]:
    """The phone at the centre of every frame.

    Frames before the first mark take its phone, those in a gap or behind the last mark the
    phone before them.

    Args:
        intervals: by time.
        num_frames: T.
        frame_shift, frame_length: of the features, in seconds; frame t is centred at
            t * frame_shift + frame_length / 2.

    Returns:
        T phones.

    Raises:
        DataError: there are no intervals, or more than frames, or they end well behind the
            last frame.
    """
    if not intervals:
        raise DataError("no phone is marked; add its times")
    if len(intervals) > num_frames:
        raise DataError(
            f"marks of {counted(len(intervals), 'phone')} but {counted(num_frames, 'frame')}"
        )
    last = (num_frames - 1) * frame_shift + frame_length
    if intervals[-1].end > last + frame_shift + OVERHANG:
        raise DataError(
            f"the last phone ends at {intervals[-1].end:.3f} s but the features end at "
            f"{last:.3f} s; mend the times, or give the audio that they are of"
        )
    centres = np.arange(num_frames) * frame_shift + frame_length / 2
    starts = np.array([mark.start for mark in intervals])
    places = np.maximum(np.searchsorted(starts, centres, side="right") - 1, 0)
    return [intervals[place].phone for place in places]


def holes(
    intervals: Iterable[PhoneInterval], longest: float
) -> list[tuple[float, float]]:
    """Stretches of more than `longest` seconds that no mark covers: before the first, and between.

    Returns:
        Start and end of each, in seconds.
    """
    found, before = [], 0.0
    for mark in intervals:
        if mark.start - before > longest + 1e-9:  # sums of decimals
            found.append((before, mark.start))
        before = mark.end
    return found


def phones_of(intervals: Iterable[PhoneInterval]) -> tuple[str, ...]:
    """The phones alone, in order."""
    return tuple(mark.phone for mark in intervals)
