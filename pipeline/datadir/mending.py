"""A data dir put right where that loses nothing but utterances that lack something."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.datadir import DataDir, read_datadir, restrict, write_datadir
from pipeline.datadir.operations import BY_SPEAKER, BY_UTTERANCE
from pipeline.datadir.rows import KEYS
from pipeline.datadir.tables import read_lines


@dataclass(frozen=True)
class Mended:
    """What was done to a data dir.

    Attributes:
        tidied: lines that were tidied or removed, by table.
        dropped: utterances that were dropped, by the table that lacks them.
    """

    tidied: dict[str, int]
    dropped: dict[str, list[str]]


def _back_up(folder: Path) -> None:
    """Copies all tables to `.backup`, inside the data dir."""
    backup = folder / ".backup"
    backup.mkdir(exist_ok=True)
    for file in folder.iterdir():
        if file.is_file() and file.suffix != ".ark":
            shutil.copy2(file, backup / file.name)


def _tidy(path: Path) -> int:
    """Gives a table Unix line ends and a last newline; no blank, no line twice.

    Returns:
        How many lines were changed or removed.
    """
    read_lines(path)  # refuses what is not UTF-8
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    tidy = dict.fromkeys(stripped for line in lines if (stripped := line.strip()))
    if changed := len(lines) - sum(line in tidy for line in set(lines)):
        write_text(path, "".join(f"{line}\n" for line in tidy))
    return changed


def _lacking(data: DataDir) -> dict[str, list[str]]:
    """Utterances by the first table that lacks them."""
    lacking: dict[str, list[str]] = {}
    kept = set(data.utterances)
    tables = {
        "segments": data.segments,
        "text": data.text,
        "feats.scp": data.feats,
        "utt2num_frames": data.utt2num_frames,
        "utt2dur": data.utt2dur,
    }
    for name, table in tables.items():
        if table is not None:
            lacking[name] = sorted(kept - set(table))
            kept &= set(table)
    recordings = {
        recording
        for recording, entry in data.wav.items()
        if entry.endswith("|") or Path(entry).is_file()
    }
    lacking["wav.scp"] = sorted(
        utt for utt in kept if data.recording_of(utt) not in recordings
    )
    return {name: utts for name, utts in lacking.items() if utts}


def fix(path: str | Path) -> Mended:
    """Tidies and sorts tables, makes spk2utt anew, drops utterances that lack audio or text.

    Tidying takes away carriage returns, spaces at the ends of lines, blank lines and lines
    that are there twice; a key with two values is the user's to decide. The old tables are
    kept in `.backup` inside the data dir.

    Raises:
        DataError: a table cannot be read, or nothing would be left.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{path}: no such folder; run keraldi prepare")
    _back_up(folder)
    names = (*KEYS, *BY_UTTERANCE, *BY_SPEAKER)
    tidied = {n: _tidy(folder / n) for n in names if (folder / n).exists()}
    data = read_datadir(folder)
    lacking = _lacking(data)
    kept = set(data.utterances).difference(*lacking.values())
    if not kept:
        raise DataError(
            f"{path}: every utterance lacks something; nothing would be left"
        )
    write_datadir(restrict(data, kept), folder)
    return Mended({name: count for name, count in tidied.items() if count}, lacking)
