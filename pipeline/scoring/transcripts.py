"""Transcripts from Kaldi text, CTM or TRN files."""

import re
from pathlib import Path
from typing import Literal

from features.errors import DataError
from pipeline.datadir.tables import read_lines, read_table
from pipeline.datadir.times import parse_ctm

Format = Literal["auto", "text", "ctm", "trn"]
Transcripts = dict[str, tuple[str, ...]]

_TRN = re.compile(r"^(.*?)\s*\(([^()\s]+)\)\s*$")
_CHOICE = re.compile(r"\{.*\s/\s.*\}")
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CTM = re.compile(rf"^\S+ \S+ {_NUMBER} {_NUMBER} \S+( -?{_NUMBER})?$")


def recognise(path: Path) -> Format:
    """The format of a file, by its extension, or else by every line's form."""
    suffix = path.suffix.lower()
    if suffix in (".ctm", ".trn"):
        return "ctm" if suffix == ".ctm" else "trn"
    lines = [line.strip() for line in read_lines(path)]
    lines = [line for line in lines if line and not line.startswith(";;")]
    if lines and all(_CTM.match(" ".join(line.split())) for line in lines):
        return "ctm"
    if lines and all(_TRN.match(line) for line in lines):
        return "trn"
    return "text"


def _read_trn(path: Path) -> Transcripts:
    found: Transcripts = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        match = _TRN.match(line)
        if match is None:
            raise DataError(
                f"{path}:{number}: expected `phones (utterance)`, got {line!r}; mend it"
            )
        if _CHOICE.search(match[1]):
            raise DataError(
                f"{path}:{number}: alternatives `{{ a / b }}` are not scored; keep one of them"
            )
        if match[2] in found:
            raise DataError(
                f"{path}:{number}: key {match[2]!r} comes twice; remove one of its lines"
            )
        found[match[2]] = tuple(match[1].split())
    return found


def _read_ctm(path: Path) -> Transcripts:
    """The tokens by time; without the check of `read_ctm`, for text has no overlaps."""
    found: dict[str, list[tuple[float, str]]] = {}
    channels: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        utt, channel, start, _, token, _ = parse_ctm(line, f"{path}:{number}")
        if channels.setdefault(utt, channel) != channel:
            raise DataError(
                f"{path}:{number}: {utt!r} has channels {channels[utt]} and {channel}; give each "
                "a name of its own"
            )
        found.setdefault(utt, []).append((start, token))
    return {
        utt: tuple(token for _, token in sorted(marks, key=lambda mark: mark[0]))
        for utt, marks in found.items()
    }


def read_transcripts(path: Path, *, form: Format = "auto") -> Transcripts:
    """Reads tokens by utterance.

    Args:
        path: Kaldi text (`utt a b`), CTM (`utt channel start duration phone`) or TRN
            (`a b (utt)`).
        form: which; `auto` goes by the extension, or else by the lines.

    Raises:
        DataError: a line is not of the form, or an utterance comes twice.
    """
    chosen = recognise(path) if form == "auto" else form
    if chosen == "trn":
        return _read_trn(path)
    if chosen == "ctm":
        return _read_ctm(path)
    return {utt: tuple(line.split()) for utt, line in read_table(path).items()}
