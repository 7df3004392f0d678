"""A data dir read line by line, as a validator needs it: no fault stops the reading."""

import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

# Tables of a data dir, and whose keys they have.
KEYS = {
    "wav.scp": "recording",
    "utt2spk": "utterance",
    "text": "utterance",
    "segments": "utterance",
    "feats.scp": "utterance",
    "utt2num_frames": "utterance",
    "utt2dur": "utterance",
    "spk2utt": "speaker",
    "spk2gender": "speaker",
    "cmvn.scp": "speaker",
    # What Kaldi has and Keraldi only carries along.
    "reco2file_and_channel": "recording",
    "reco2dur": "recording",
    "vad.scp": "utterance",
    "utt2lang": "utterance",
    "utt2uniq": "utterance",
    "utt2warp": "utterance",
    "spk2warp": "speaker",
}
ORDER_MARK = "\ufeff"  # of bytes, as some editors put it first in a file
_UNSEEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # controls, marks of format, spaces
_SEEN_ENOUGH = (
    " \t\u200c\u200d"  # the joiners belong to the spelling of Persian and Hindi
)
_BAD_ID = re.compile(r"[/\\]|^\.\.?$")


def _unseen(line: str, name: str) -> str:
    """The first character that is not printed, or is a space but not a plain one.

    Of an scp's line the key is looked at: what a file is called is its owner's business.
    """
    looked_at = line.partition(" ")[0] if name.endswith(".scp") else line
    for character in looked_at:
        kind = unicodedata.category(character)
        if kind in _UNSEEN and character not in _SEEN_ENOUGH:
            called = unicodedata.name(character, "a control character")
            return f"U+{ord(character):04X} ({called.lower()})"
    return ""


def number_in(field: str) -> float | None:
    """The finite number that a field holds; None where it holds another thing."""
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Row:
    """A line of a table: its number, key and the rest."""

    number: int
    key: str
    value: str


class Rows:
    """Reads every table of a data dir and gathers what is wrong with its lines.

    Args:
        path: the data dir.

    Attributes:
        tables: the lines of each table that has a file, by the table's name.
        faults: what is wrong, each with file, line and mend.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []
        self.tables = {
            name: self._read(name) for name in KEYS if (path / name).exists()
        }

    def fault(self, name: str, number: int, message: str) -> None:
        """Notes a fault of a table's line; lines count from 1."""
        self.faults.append(f"{self.path / name}:{number}: {message}")

    def _read(self, name: str) -> list[Row]:
        content = (self.path / name).read_bytes()
        rows: list[Row] = []
        if content and not content.endswith(b"\n"):
            self.fault(
                name,
                content.count(b"\n") + 1,
                "no newline at the end; add one (keraldi validate --fix does)",
            )
        for number, line in enumerate(
            content.split(b"\n")[: content.count(b"\n") + 1], start=1
        ):
            if not line and number > content.count(b"\n"):
                continue
            row = self._read_line(name, number, line)
            if row is not None:
                rows.append(row)
        if not rows:
            self.fault(name, 1, "the table is empty; fill it or remove the file")
        self._check_order(name, rows)
        return rows

    def _read_line(self, name: str, number: int, line: bytes) -> Row | None:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            self.fault(name, number, "not UTF-8; convert the file to UTF-8")
            return None
        if text.endswith("\r"):
            self.fault(
                name,
                number,
                "ends in a carriage return; save with Unix line ends "
                "(keraldi validate --fix does)",
            )
            text = text.rstrip("\r")
        if number == 1 and text.startswith(ORDER_MARK):
            self.fault(
                name,
                number,
                "begins with a byte order mark; save as UTF-8 without it "
                "(keraldi validate --fix does)",
            )
            text = text.removeprefix(ORDER_MARK)
        if unseen := _unseen(text, name):
            self.fault(
                name,
                number,
                f"holds {unseen}, which nobody sees; type a plain space, or remove it",
            )
        key, *rest = text.split(maxsplit=1) or [""]
        if not key:
            self.fault(
                name, number, "empty line; remove it (keraldi validate --fix does)"
            )
            return None
        if text != text.strip():
            self.fault(
                name,
                number,
                "space at an end of the line; remove it (validate --fix does)",
            )
        if _BAD_ID.search(key):
            self.fault(
                name, number, f"key {key!r} is no safe name; rename it without / or \\"
            )
        if not rest:
            self.fault(name, number, f"{key!r} has no value; add it or remove the line")
        return Row(number, key, rest[0].strip() if rest else "")

    def _check_order(self, name: str, rows: list[Row]) -> None:
        seen: set[str] = set()
        before = ""
        for row in rows:
            if row.key in seen:
                self.fault(
                    name,
                    row.number,
                    f"key {row.key!r} comes twice; remove one line "
                    "(keraldi validate --fix does, where both say the same)",
                )
            elif before.encode() > row.key.encode():
                self.fault(
                    name,
                    row.number,
                    f"{row.key!r} stands behind {before!r}: not sorted; sort with LC_ALL=C "
                    "(keraldi validate --fix does)",
                )
            seen.add(row.key)
            before = row.key

    def keys(self, name: str) -> set[str]:
        """The keys of a table; none when it has no file."""
        return {row.key for row in self.tables.get(name, [])}
