"""What users point at -> items: paths, lists and globs of them, each with an id of its own."""

import codecs
import functools
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from features.errors import DataError
from features.parts import Part
from pipeline.batch.candidates import (
    AUDIO,
    Candidate,
    Counts,
    of_directory,
    of_file,
    of_table,
)
from pipeline.batch.folders import expanded
from pipeline.batch.items import Item

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


def _of_pattern(pattern: str, place: str, counts: Counts) -> Iterator[Candidate]:
    """A path of a file or folder, or a glob of some."""
    if os.path.lexists(pattern) or not glob.has_magic(pattern):
        matches = [pattern]
    else:
        matches = expanded(pattern)
    if not matches:
        raise DataError(f"{place}: {pattern!r} matches nothing; mend the pattern")
    for match in matches:
        if os.path.isdir(match):
            yield from of_directory(match, counts)
            continue
        found, fault = of_file(match, os.path.basename(match)), ""
        if not os.path.lexists(match):
            fault = f"{place}: {match}: no such file; {_list_mend(match)}"
        elif _no_audio(match):
            fault = f"{place}: {match}: a table or list, not audio; give it as a path of its own"
        if fault:
            found = replace(found, item=replace(found.item, fault=fault))
        yield found


def _of_list(lines: Iterable[str], name: str, counts: Counts) -> Iterator[Candidate]:
    """Paths of files and folders, and globs, one a line."""
    for number, line in enumerate(lines, start=1):
        place, pattern = f"{name}:{number}", line.rstrip("\r\n")
        if not pattern.strip():
            continue
        if "\0" in pattern:
            raise DataError(
                f"{place}: a zero byte; give one path a line (find without -print0)"
            )
        yield from _of_pattern(pattern, place, counts)


def _absent(path: str) -> str:
    """Why there is nothing at a path, and what helps; empty where there is something."""
    try:
        os.lstat(path)
    except PermissionError:
        return "in a folder that may not be entered; change its permissions"
    except (OSError, ValueError):
        return "no such file or folder; give an existing path"
    return ""


def _candidates(path: str, counts: Counts) -> Iterator[Candidate]:
    """What one of the user's paths stands for."""
    if path == "-":
        if sys.stdin is None:
            raise DataError("-: standard input is closed; give a list on it, or paths")
        lines = map(os.fsdecode, sys.stdin.buffer)
        yield from _of_list(lines, "standard input", counts)
    elif os.path.isdir(path):
        yield from of_directory(path, counts)
    elif reason := _absent(path):
        if not glob.has_magic(path):
            raise DataError(f"{path}: {reason}")
        yield from _of_pattern(path, path, counts)
    elif os.path.basename(path) in _TABLES:
        raise DataError(
            f"{path}: a table of a data dir, not audio; give {os.path.dirname(path) or '.'}"
        )
    elif path.lower().endswith(".scp"):
        yield from of_table(path)
    elif Path(path).suffix.lower() in _LISTS:
        yield from _of_list(_read_list(path), path, counts)
    else:
        yield of_file(path, os.path.basename(path))


def _openable(found: Candidate) -> Candidate:
    """The same, or an item that fails where no file can have such a path."""
    if "\0" not in found.item.source:
        return found
    fault = f"{found.item.source!r}: a zero byte in a path; mend it"
    return replace(found, item=replace(found.item, source="", fault=fault))


class _Places:
    """Where files lie, links followed; folders are looked at once."""

    def __init__(self) -> None:
        self._folder = functools.cache(os.path.realpath)

    def __call__(self, source: str) -> str:
        folder, name = os.path.split(source)
        if name in ("", ".", "..") or os.path.islink(source):
            return os.path.realpath(source)
        return os.path.join(self._folder(folder), name)


def _knowledge(item: Item) -> int:
    """How much tables say of an item: of two ways to find a file the one that tells more counts."""
    return sum(known is not None for known in (item.speaker, item.cmvn, item.text))


def _named(candidates: Sequence[Candidate]) -> list[Item]:
    """Gives each item the shortest of its names that no other has.

    Raises:
        DataError: two items have the same names only.
    """
    levels = [0] * len(candidates)
    while True:
        names = [c.name(n) for c, n in zip(candidates, levels, strict=True)]
        counts = Counter(names)
        clashes = [i for i, name in enumerate(names) if counts[name] > 1]
        lengths = {i: len(candidates[i].names) for i in clashes}
        longer = [i for i in clashes if levels[i] + 1 < lengths[i]]
        longer = longer or [i for i in clashes if 1 < lengths[i] == levels[i] + 1]
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
    counts, places = Counts(), _Places()
    seen: dict[tuple[str, Part], Candidate] = {}
    found = 0
    for path in paths:
        for candidate in _candidates(path, counts):
            candidate = _openable(candidate)
            item = candidate.item
            place = (
                item.source
                if item.source.endswith("|") or not item.source
                else places(item.source)
            )
            found += 1
            # Utterances of tables are told apart by name, files by where they lie.
            name = candidate.names[0] if len(candidate.names) == 1 else ""
            key = f"{name} {place}", item.part
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
