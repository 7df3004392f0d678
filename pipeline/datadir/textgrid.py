"""Praat's TextGrid: interval tiers read and written."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.times import PhoneInterval, interval_at

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
                interval_at(str(path), label.strip(), start, end)
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
