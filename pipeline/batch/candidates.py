"""Files, folders, tables and data dirs -> candidates: items before their ids are certain."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from features.errors import DataError
from features.parts import WHOLE
from pipeline.batch.folders import walked
from pipeline.batch.items import Item, safe_id
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.tables import read_table

AUDIO = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .sph .nist .aif .aiff .aifc .au .snd .caf .w64 "
    ".rf64 .m4a .aac .wma .amr".split()  # the last four only to be named: nobody opens them
)


@dataclass
class Counts:
    """What folders hold beside audio; see `discovery.Found`."""

    passed_over: Counter[str] = field(default_factory=Counter)
    data_dirs: int = 0


@dataclass(frozen=True)
class Candidate:
    """An item before its id is certain: the shortest name first, a longer one on a clash.

    Attributes:
        item: without its id.
        names: one, of a table; several, of a file.
    """

    item: Item
    names: tuple[str, ...]

    def name(self, level: int) -> str:
        """A name, longer at each level; after all `names` the path from the root.

        That one is no other file's: links and dots are left as they are.
        """
        if level < len(self.names):
            return self.names[level]
        return safe_id(os.path.join(os.getcwd(), self.item.source))


def _is_audio(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in AUDIO


def of_file(path: str, name: str) -> Candidate:
    """A file by its `name` without suffix; with it, or by its path, on a clash."""
    stem = os.path.splitext(name)[0]
    path_id = safe_id(path.lstrip("/"))
    return Candidate(Item("", path), (safe_id(stem), safe_id(name), path_id))


def _of_folder(root: str, counts: Counts) -> Iterator[Candidate]:
    """All audio below a folder; what cannot be listed is an item that fails."""
    troubles: list[OSError] = []
    for place, folders, files in walked(root, troubles):
        counts.data_dirs += is_data_dir(place)
        for name in sorted(files):
            path = os.path.join(place, name)
            if _is_audio(path):
                yield of_file(path, os.path.relpath(path, root))
            else:
                counts.passed_over[os.path.splitext(name)[1] or "no suffix"] += 1
        if _is_audio(place) and not files and not folders:
            fault = f"{place}: a folder, not a file; remove it or rename it"
            name = os.path.relpath(place, root)
            found = of_file(place, os.path.basename(place) if name == "." else name)
            yield replace(found, item=replace(found.item, fault=fault))
    for trouble in troubles:
        path = str(trouble.filename)
        fault = f"{path}: {trouble.strerror}; change its permissions"
        names = (safe_id(os.path.relpath(path, root)),) * 3
        yield Candidate(Item("", path, fault=fault), names)


def of_table(path: str) -> Iterator[Candidate]:
    """The recordings of a wav.scp."""
    table = read_table(path)
    if not table:
        raise DataError(f"{path}: empty; write lines of the form `RECORDING PATH`")
    for name, source in table.items():
        fault = "" if source else f"{path}: no path of recording {name!r}; add it"
        yield Candidate(Item("", source, fault=fault), (name,))


def _of_data_dir(path: str) -> Iterator[Candidate]:
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
        item = Item(
            "",
            data.wav.get(recording, ""),
            segment.part if segment else WHOLE,
            data.utt2spk[utt],
            cmvn,
            data.text.get(utt) if data.text is not None else None,
            fault,
        )
        yield Candidate(item, (utt,))
    known = data.wav if data.segments is None else data.segments
    for utt in sorted(set(known) - set(data.utterances)):
        fault = f"{path}/utt2spk: no speaker of utterance {utt!r}; add it"
        recording = utt if data.segments is None else data.segments[utt].recording
        yield Candidate(Item("", data.wav.get(recording, ""), fault=fault), (utt,))


def is_data_dir(path: str) -> bool:
    """Whether a path is a data dir, not a folder of audio or a file."""
    tables = (os.path.join(path, name) for name in ("wav.scp", "utt2spk"))
    return all(map(os.path.exists, tables))


def of_directory(path: str, counts: Counts) -> Iterator[Candidate]:
    """A data dir, or a folder of audio."""
    if os.path.exists(table := os.path.join(path, "wav.scp")) and not is_data_dir(path):
        raise DataError(
            f"{path}: wav.scp without utt2spk; give {table} itself, or add utt2spk"
        )
    return _of_data_dir(path) if is_data_dir(path) else _of_folder(path, counts)
