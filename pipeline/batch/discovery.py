"""What users point at -> items: files, folders, data dirs, wav.scp, lists, globs."""

import codecs
import glob
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from features.errors import DataError
from pipeline.batch.items import Item, safe_id
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.tables import read_table

AUDIO = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .sph .nist .aif .aiff .aifc .au .snd .caf .w64 "
    ".rf64 .m4a .aac .wma .amr".split()  # the last four only to be named: nobody opens them
)
_LISTS = frozenset((".txt", ".lst", ".list"))
_TABLES = frozenset(  # of data dirs, beside wav.scp
    "utt2spk spk2utt segments text utt2dur utt2speed feats.scp cmvn.scp".split()
)


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        items: sorted by id.
        passed_over: how many files of folders do not look like audio, by suffix.
        repeated: files that were found twice and are done once.
        data_dirs: data dirs inside of folders, whose tables were not looked at.
    """

    items: tuple[Item, ...]
    passed_over: Counter[str]
    repeated: int
    data_dirs: int


@dataclass
class _Counts:
    """What folders hold beside audio; see `Found`."""

    passed_over: Counter[str] = field(default_factory=Counter)
    data_dirs: int = 0


@dataclass(frozen=True)
class _Candidate:
    """An item before its id is certain: the shortest name first, a longer one on a clash."""

    item: Item
    names: tuple[str, ...]


def _is_audio(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in AUDIO


def _of_file(path: str, name: str) -> _Candidate:
    """A file by its `name` without suffix; with it, or by its path, on a clash."""
    stem = os.path.splitext(name)[0]
    path_id = safe_id(path.lstrip("/"))
    return _Candidate(Item("", path), (safe_id(stem), safe_id(name), path_id))


def _walked(
    root: str, troubles: list[OSError]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, then what links to folders lead to; each folder once, so no loop is endless."""
    waiting, seen = deque([root]), set()
    while waiting:
        top = waiting.popleft()
        for place, folders, files in os.walk(top, onerror=troubles.append):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders.sort()
            paths = (os.path.join(place, name) for name in folders)
            waiting.extend(filter(os.path.islink, paths))
            yield place, folders, files


def _of_folder(root: str, counts: _Counts) -> Iterator[_Candidate]:
    """All audio below a folder; what cannot be listed is an item that fails."""
    troubles: list[OSError] = []
    for place, folders, files in _walked(root, troubles):
        counts.data_dirs += is_data_dir(place)
        for name in sorted(files):
            path = os.path.join(place, name)
            if _is_audio(path):
                yield _of_file(path, os.path.relpath(path, root))
            else:
                counts.passed_over[os.path.splitext(name)[1] or "no suffix"] += 1
        if _is_audio(place) and not files and not folders:
            fault = f"{place}: a folder, not a file; remove it or rename it"
            name = os.path.relpath(place, root)
            found = _of_file(place, os.path.basename(place) if name == "." else name)
            yield replace(found, item=replace(found.item, fault=fault))
    for trouble in troubles:
        path = str(trouble.filename)
        fault = f"{path}: {trouble.strerror}; change its permissions"
        names = (safe_id(os.path.relpath(path, root)),) * 3
        yield _Candidate(Item("", path, fault=fault), names)


def _of_table(path: str) -> Iterator[_Candidate]:
    """The recordings of a wav.scp."""
    table = read_table(path)
    if not table:
        raise DataError(f"{path}: empty; write lines of the form `RECORDING PATH`")
    for name, source in table.items():
        fault = "" if source else f"{path}: no path of recording {name!r}; add it"
        yield _Candidate(Item("", source, fault=fault), (name,))


def _of_data_dir(path: str) -> Iterator[_Candidate]:
    """The utterances of a data dir, with speakers, transcripts and statistics."""
    data = read_datadir(path)
    cmvn = os.path.join(path, "cmvn.scp") if data.cmvn else None
    for utt in data.utterances:
        segment = data.segments.get(utt) if data.segments is not None else None
        recording = segment.recording if segment else utt
        fault = ""
        if not data.wav.get(recording) or (data.segments is not None and not segment):
            what = f"segments: nothing of utterance {utt!r}"
            if segment or data.segments is None:
                what = f"wav.scp: no recording {recording!r} of utterance {utt!r}"
            fault = f"{path}/{what}; add it, or keraldi validate --fix removes the utterance"
        end = segment.end if segment and segment.end >= 0 else None
        item = Item(
            "",
            data.wav.get(recording, ""),
            segment.start if segment else 0.0,
            end,
            data.utt2spk[utt],
            cmvn,
            data.text.get(utt) if data.text is not None else None,
            fault,
        )
        yield _Candidate(item, (utt,))
    known = data.wav if data.segments is None else data.segments
    for utt in sorted(set(known) - set(data.utterances)):
        fault = f"{path}/utt2spk: no speaker of utterance {utt!r}; add it"
        recording = utt if data.segments is None else data.segments[utt].recording
        yield _Candidate(Item("", data.wav.get(recording, ""), fault=fault), (utt,))


def is_data_dir(path: str) -> bool:
    """Whether a path is a data dir, not a folder of audio or a file."""
    tables = (os.path.join(path, name) for name in ("wav.scp", "utt2spk"))
    return all(map(os.path.exists, tables))


def _of_directory(path: str, counts: _Counts) -> Iterator[_Candidate]:
    """A data dir, or a folder of audio."""
    if os.path.exists(table := os.path.join(path, "wav.scp")) and not is_data_dir(path):
        raise DataError(
            f"{path}: wav.scp without utt2spk; give {table} itself, or add utt2spk"
        )
    return _of_data_dir(path) if is_data_dir(path) else _of_folder(path, counts)


def _no_audio(path: str) -> bool:
    """Whether a path is that of a table or list, by its name."""
    name = os.path.basename(path)
    suffix = os.path.splitext(name)[1].lower()
    return name in _TABLES or suffix == ".scp" or suffix in _LISTS


def _read_list(path: str) -> list[str]:
    """The lines of a list file; a path may hold any bytes."""
    content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise DataError(f"{path}: empty; give it paths, one a line, or leave it out")
    return os.fsdecode(content).split("\n")


def _list_mend(line: str) -> str:
    """What to do about a line that is no path: maybe it was none."""
    name, _, source = line.strip().partition(" ")
    if name.startswith("#"):
        return "a list holds no comments: remove the line"
    if os.path.lexists(source.strip()):
        return "a list holds paths only: leave the id out, or name the file wav.scp"
    return "mend the path"


def _of_list(lines: Iterable[str], place: str, counts: _Counts) -> Iterator[_Candidate]:
    """Paths of files and folders, and globs, one a line."""
    for number, line in enumerate(lines, start=1):
        pattern = line.rstrip("\r\n")
        if not pattern.strip():
            continue
        if "\0" in pattern:
            raise DataError(
                f"{place}:{number}: a zero byte; give one path a line (find without -print0)"
            )
        if os.path.lexists(pattern) or not glob.has_magic(pattern):
            matches = [pattern]
        else:
            matches = sorted(glob.glob(pattern, recursive=True))
        if not matches:
            raise DataError(f"{place}: {pattern!r} matches nothing; mend the pattern")
        for match in matches:
            if os.path.isdir(match):
                yield from _of_directory(match, counts)
                continue
            found, fault = _of_file(match, os.path.basename(match)), ""
            if not os.path.lexists(match):
                fault = f"{place}:{number}: {match}: no such file; {_list_mend(match)}"
            elif _no_audio(match):
                fault = (
                    f"{place}:{number}: {match}: a table or list, not audio; give it as a path "
                    "of its own"
                )
            found = replace(found, item=replace(found.item, fault=fault))
            yield found


def _absent(path: str) -> str:
    """Why there is nothing at a path, and what helps; empty where there is something."""
    try:
        os.lstat(path)
    except PermissionError:
        return "in a folder that may not be entered; change its permissions"
    except (OSError, ValueError):
        return "no such file or folder; give an existing path"
    return ""


def _candidates(path: str, counts: _Counts) -> Iterator[_Candidate]:
    """What one of the user's paths stands for."""
    if path == "-":
        if sys.stdin is None:
            raise DataError("-: standard input is closed; give a list on it, or paths")
        lines = map(os.fsdecode, sys.stdin.buffer)
        yield from _of_list(lines, "standard input", counts)
    elif os.path.isdir(path):
        yield from _of_directory(path, counts)
    elif reason := _absent(path):
        if not glob.has_magic(path):
            raise DataError(f"{path}: {reason}")
        yield from _of_list([path], path, counts)
    elif os.path.basename(path) in _TABLES:
        raise DataError(
            f"{path}: a table of a data dir, not audio; give {os.path.dirname(path) or '.'}"
        )
    elif path.lower().endswith(".scp"):
        yield from _of_table(path)
    elif Path(path).suffix.lower() in _LISTS:
        yield from _of_list(_read_list(path), path, counts)
    else:
        yield _of_file(path, os.path.basename(path))


def _openable(found: _Candidate) -> _Candidate:
    """The same, or an item that fails where no file can have such a path."""
    if "\0" not in found.item.source:
        return found
    fault = f"{found.item.source!r}: a zero byte in a path; mend it"
    return replace(found, item=replace(found.item, source="", fault=fault))


def _knowledge(item: Item) -> int:
    """How much tables say of an item: of two ways to find a file the one that tells more counts."""
    return sum(known is not None for known in (item.speaker, item.cmvn, item.text))


def _named(candidates: Sequence[_Candidate]) -> list[Item]:
    """Gives each item the shortest of its names that no other has.

    Raises:
        DataError: two items have the same names only.
    """
    levels = [0] * len(candidates)
    while True:
        names = [c.names[min(n, len(c.names) - 1)] for c, n in zip(candidates, levels)]
        counts = Counter(names)
        clashes = [i for i, name in enumerate(names) if counts[name] > 1]
        longer = [i for i in clashes if levels[i] + 1 < len(candidates[i].names)]
        if not clashes:
            pairs = zip(candidates, names, strict=True)
            return [replace(found.item, id=name) for found, name in pairs]
        if not longer:
            one, two = (candidates[i].item.source for i in clashes[:2])
            raise DataError(
                f"{names[clashes[0]]!r} names both {one} and {two}; transcribe them into "
                "different folders, or rename one"
            )
        for index in longer:
            levels[index] += 1


def discover(paths: Sequence[str]) -> Found:
    """Finds all there is to do.

    Args:
        paths: audio files, folders, data dirs, `wav.scp` files, lists or globs of paths, or
            `-` for a list on standard input.

    Raises:
        DataError: a path does not exist, a table is wrong, or nothing is found.
    """
    counts = _Counts()
    seen: dict[tuple[str, float, float | None], _Candidate] = {}
    found = 0
    for path in paths:
        for candidate in _candidates(path, counts):
            candidate = _openable(candidate)
            item = candidate.item
            place = (
                item.source
                if item.source.endswith("|") or not item.source
                else os.path.realpath(item.source)
            )
            found += 1
            # Utterances of tables are told apart by name, files by where they lie.
            name = candidate.names[0] if len(candidate.names) == 1 else ""
            key = f"{name} {place}", item.start, item.end
            if key not in seen or _knowledge(item) > _knowledge(seen[key].item):
                seen[key] = candidate
    if not seen:
        if not paths:
            raise DataError("no path of audio; give files, folders, data dirs or lists")
        listed = " ".join(paths)
        raise DataError(
            f"{listed}: no audio found; files must end in {' '.join(sorted(AUDIO))}"
        )
    items = sorted(_named(list(seen.values())), key=lambda item: item.id.encode())
    repeated = found - len(seen)
    return Found(tuple(items), counts.passed_over, repeated, counts.data_dirs)
