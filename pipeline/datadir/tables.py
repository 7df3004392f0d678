"""Kaldi's text tables: one key and its value a line, sorted in the C locale."""

import re
from collections.abc import Mapping
from pathlib import Path

from features.errors import DataError
from features.files import write_text

_GZIP = b"\x1f\x8b"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


_GIVEN = {
    "wav.scp": "RECORDING PATH",
    "utt2spk": "UTTERANCE SPEAKER",
    "text": "UTTERANCE WORD WORD …",
}


def absent(path: str | Path) -> str:
    """What is said of a file that is not there; some tables are the user's to give."""
    form = _GIVEN.get(Path(path).name)
    if form is None:
        return f"{path}: no such file; check the path, or run the stage that makes it"
    return (
        f"{path}: no such file; write it yourself, lines of the form `{form}`, or let keraldi "
        "prepare make the data dirs of a corpus it knows"
    )


def read_lines(path: str | Path) -> list[str]:
    """Reads the lines of a UTF-8 text file.

    Raises:
        DataError: the file is missing, or a line is not UTF-8; names file and line.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(absent(path)) from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder; give a file's name") from None
    if content.startswith(_GZIP):
        raise DataError(f"{path}: compressed; unpack it first (gunzip)")
    try:
        # Not splitlines: a word may hold what Unicode calls a line separator.
        # A byte order mark, as some editors put it, is no part of the first word.
        lines = content.decode("utf-8-sig").removesuffix("\n").split("\n")
        return [line.removesuffix("\r") for line in lines] if content else []
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}:{line}: not UTF-8; convert the file to UTF-8"
        ) from None


def read_table(path: str | Path) -> dict[str, str]:
    """Reads `key value…` lines; a key alone gives an empty value.

    Returns:
        Values by key, in the order of the file.

    Raises:
        DataError: the file is missing or not UTF-8, a line is empty, or a key comes twice or
            holds a control character.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        key, *rest = line.split(maxsplit=1)[:2] if line.strip() else [""]
        if not key:
            raise DataError(f"{path}:{number}: empty line; remove it")
        if key in table:
            raise DataError(
                f"{path}:{number}: key {key!r} comes twice; remove one of its lines"
            )
        if _CONTROL.search(key):
            raise DataError(
                f"{path}:{number}: key {key!r} holds a control character; rename it"
            )
        table[key] = rest[0].rstrip() if rest else ""
    return table


def write_table(path: str | Path, table: Mapping[str, str]) -> None:
    """Writes `key value` lines sorted in the C locale, whole or not at all."""
    rows = sorted(table.items(), key=lambda item: item[0].encode())
    write_text(path, "".join(f"{key} {value}".rstrip() + "\n" for key, value in rows))
