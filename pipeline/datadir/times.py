"""Time marks: TIMIT's .PHN, Praat's TextGrid, CTM; and one label a frame from them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from features.errors import DataError, counted
from features.files import write_text
from pipeline.datadir.tables import read_lines

TIMIT_RATE_HZ = 16000
_TIME_SLACK = 0.005  # marks are rounded to a few milliseconds in most corpora

_OVERHANG = 0.1  # seconds that marks may go on behind the audio: tools round and pad


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


def _interval(place: str, phone: str, start: float, end: float) -> PhoneInterval:
    try:
        return PhoneInterval(phone, start, end)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None


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
        intervals.append(_interval(f"{path}:{number}", fields[2], start, end))
    return intervals


def read_ctm(path: str | Path) -> dict[str, list[PhoneInterval]]:
    """Reads `utt channel start duration phone [confidence]` lines.

    Returns:
        The intervals of every utterance, by time.

    Raises:
        DataError: a line is not of that form, or two phones of an utterance overlap.
    """
    found: dict[str, list[PhoneInterval]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        place = f"{path}:{number}"
        try:
            utt, _, start, duration, phone = fields[:5]
            begin, length = float(start), float(duration)
            sure = float(fields[5]) if len(fields) > 5 else None
        except ValueError:
            raise DataError(
                f"{place}: expected utt channel start duration phone: {line!r}"
            ) from None
        interval = replace(
            _interval(place, phone, begin, begin + length), confidence=sure
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


_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|<exists>|(?<![\w.])(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])'
)


def _decode(path: Path) -> str:
    content = path.read_bytes()
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding)
    return content.decode("utf-8-sig")


def read_textgrid(path: str | Path, *, tier: str = "phones") -> list[PhoneInterval]:
    """Reads an interval tier of a Praat TextGrid, in its long or short form.

    Args:
        path: the file, UTF-8 or UTF-16.
        tier: name of the tier, in any case.

    Returns:
        The intervals that hold a label.

    Raises:
        DataError: it is no TextGrid, or has no such interval tier (those it has are named).
    """
    place = Path(path)
    try:
        text = _decode(place)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: neither UTF-8 nor UTF-16; save it as UTF-8") from None
    if "TextGrid" not in text[:200]:
        raise DataError(f"{path}: not a Praat TextGrid; save it as TextGrid in Praat")
    # The long form writes `name = value`: without names and indices it is the short form.
    plain = re.sub(
        r"\[\d*\]:?|^\s*[A-Za-z ]+[?=:]", " ", text.split("TextGrid", 1)[1], flags=re.M
    )
    tokens = [
        ("text", m[1].replace('""', '"')) if m[1] is not None else ("number", m[2])
        for m in _TOKEN.finditer(plain.split('"', 1)[-1])
        if m[0] != "<exists>"
    ]
    tiers = _parse_tiers(tokens, str(path))
    for name, rows in tiers.items():
        if name.lower() == tier.lower():
            return [
                _interval(str(path), label.strip(), start, end)
                for start, end, label in rows
                if label.strip()
            ]
    raise DataError(
        f"{path}: no interval tier {tier!r}; it has {', '.join(tiers) or 'none'}"
    )


def _parse_tiers(
    tokens: list[tuple[str, str]], place: str
) -> dict[str, list[tuple[float, float, str]]]:
    """Reads tiers off the numbers and texts of a TextGrid."""
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    position = 3  # after start, end, number of tiers
    try:
        for _ in range(int(tokens[2][1])):
            kind, name = tokens[position][1], tokens[position + 1][1]
            count = int(tokens[position + 4][1])
            width = 3 if kind == "IntervalTier" else 2
            first = position + 5
            position = first + count * width
            if kind == "IntervalTier":
                rows = [tokens[first + i * 3 : first + i * 3 + 3] for i in range(count)]
                tiers[name] = [(float(a[1]), float(b[1]), c[1]) for a, b, c in rows]
    except (IndexError, ValueError):
        raise DataError(
            f"{place}: the TextGrid is cut short or damaged; save it again"
        ) from None
    return tiers


def _tiled(
    intervals: Iterable[PhoneInterval], duration: float
) -> Iterator[tuple[float, float, str]]:
    """Start, end and label of intervals and of the gaps between them, which have none."""
    now = 0.0
    for mark in intervals:
        if mark.start > now:
            yield now, mark.start, ""
        yield max(now, mark.start), mark.end, mark.phone
        now = mark.end
    if now < duration:
        yield now, duration, ""


def textgrid_lines(
    intervals: Callable[[], Iterable[PhoneInterval]], *, duration: float
) -> Iterator[str]:
    """One interval tier `phones` in Praat's long form, gaps as empty intervals.

    Args:
        intervals: gives the phones, as often as it is asked: how many they are comes first.
        duration: of the utterance in seconds.
    """
    rows = sum(1 for _ in _tiled(intervals(), duration))
    yield 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\n'
    yield f"xmax = {duration:.4f}\ntiers? <exists>\nsize = 1\nitem []:\n"
    yield '    item [1]:\n        class = "IntervalTier"\n        name = "phones"\n'
    yield f"        xmin = 0\n        xmax = {duration:.4f}\n"
    yield f"        intervals: size = {rows}\n"
    for number, row in enumerate(_tiled(intervals(), duration), start=1):
        start, end, label = row
        quoted = label.replace('"', '""')
        yield f"        intervals [{number}]:\n            xmin = {start:.4f}\n"
        yield f'            xmax = {end:.4f}\n            text = "{quoted}"\n'


def write_textgrid(
    path: str | Path, intervals: Sequence[PhoneInterval], *, duration: float
) -> None:
    """Writes a TextGrid as `textgrid_lines` makes it."""
    write_text(path, "".join(textgrid_lines(lambda: intervals, duration=duration)))


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
    if intervals[-1].end > last + frame_shift + _OVERHANG:
        raise DataError(
            f"the last phone ends at {intervals[-1].end:.3f} s but the features end at "
            f"{last:.3f} s; mend the times, or give the audio that they are of"
        )
    centres = np.arange(num_frames) * frame_shift + frame_length / 2
    starts = np.array([mark.start for mark in intervals])
    places = np.maximum(np.searchsorted(starts, centres, side="right") - 1, 0)
    return [intervals[place].phone for place in places]


def phones_of(intervals: Iterable[PhoneInterval]) -> tuple[str, ...]:
    """The phones alone, in order."""
    return tuple(mark.phone for mark in intervals)
