"""Transcripts from Kaldi text, CTM or TRN files."""

import re
from pathlib import Path
from typing import Literal

from features.errors import DataError
from pipeline.datadir.tables import read_lines, read_table

Format = Literal["auto", "text", "ctm", "trn"]
Transcripts = dict[str, tuple[str, ...]]

_TRN = re.compile(r"^(.*?)\s*\(([^()\s]+)\)\s*$")
_CHOICE = re.compile(r"\{.*\s/\s.*\}")
_CTM = re.compile(r"^\S+ \S+ \d+(\.\d+)? \d+(\.\d+)? \S+( -?\d+(\.\d+)?)?$")


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
        fields = line.split()
        if not _CTM.match(" ".join(fields)):
            raise DataError(
                f"{path}:{number}: expected utt channel start duration phone, and perhaps a "
                f"confidence, got {line!r}; mend it"
            )
        if channels.setdefault(fields[0], fields[1]) != fields[1]:
            raise DataError(
                f"{path}:{number}: {fields[0]!r} has channels {channels[fields[0]]} and "
                f"{fields[1]}; give each a name of its own"
            )
        found.setdefault(fields[0], []).append((float(fields[2]), fields[4]))
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
