"""A data dir put right where that loses nothing but utterances that lack something."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.datadir import DataDir, read_datadir, restrict, write_datadir
from pipeline.datadir.further import BY_SPEAKER, BY_UTTERANCE, copy_further
from pipeline.datadir.rows import KEYS, ORDER_MARK
from pipeline.datadir.tables import read_lines, read_table


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
    """Gives a table Unix line ends and a last newline; no order mark, no blank, no line twice.

    Returns:
        How many lines were changed or removed.
    """
    read_lines(path)  # refuses what is not UTF-8
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    tidy = dict.fromkeys(line.removeprefix(ORDER_MARK).strip() for line in lines)
    tidy.pop("", None)
    if changed := len(lines) - sum(line in tidy for line in set(lines)):
        write_text(path, "".join(f"{line}\n" for line in tidy))
    return changed


def _lacking(data: DataDir) -> dict[str, list[str]]:
    """Utterances by the first table that lacks them or their speakers."""
    lacking: dict[str, list[str]] = {}
    kept = set(data.utterances)
    for name, kind in KEYS.items():
        path = data.path / name
        if kind == "recording" or name in ("utt2spk", "spk2utt") or not path.exists():
            continue
        present = set(read_table(path))
        lacking[name] = sorted(
            utt
            for utt in kept
            if (data.utt2spk[utt] if kind == "speaker" else utt) not in present
        )
        kept.difference_update(lacking[name])
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

    Tidying takes away a byte order mark, carriage returns, spaces at the ends of lines, blank
    lines and lines that are there twice; a key with two values is the user's to decide. The
    old tables are kept in `.backup` inside the data dir.

    Raises:
        DataError: a table cannot be read, or nothing would be left.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{path}: no such folder; run keraldi prepare")
    _back_up(folder)
    names = dict.fromkeys((*KEYS, *BY_UTTERANCE, *BY_SPEAKER))
    tidied = {n: _tidy(folder / n) for n in names if (folder / n).exists()}
    data = read_datadir(folder)
    lacking = _lacking(data)
    kept = set(data.utterances).difference(*lacking.values())
    if not kept:
        tables = ", ".join(lacking)
        raise DataError(
            f"{path}: nothing would be left, for every utterance is absent from one of {tables}; "
            "make that anew, or remove the file"
        )
    mended = restrict(data, kept)
    write_datadir(mended, folder)
    copy_further(mended, folder, folder)
    return Mended({name: count for name, count in tidied.items() if count}, lacking)
