"""Kaldi's data dir as a record of tables."""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from features.errors import DataError
from features.parts import WHOLE, Part
from features.temporaries import recover
from pipeline.datadir.segments import FORM, Segment, parse_segment
from pipeline.datadir.tables import read_table, write_table


@dataclass(frozen=True)
class DataDir:
    """The tables of a data dir; a table that has no file is None.

    Attributes:
        path: the folder.
        wav: path or command of every recording; recordings are utterances without `segments`.
        segments: recording and times of every utterance.
        text: words, or phones where the corpus is transcribed in phones.
        utt2spk: speaker of every utterance; defines which utterances there are.
        spk2gender: `m` or `f` of every speaker.
        feats, cmvn: place in an archive by utterance, by speaker.
        utt2num_frames: frames of features.
        utt2dur: seconds.
    """

    path: Path
    wav: dict[str, str]
    utt2spk: dict[str, str]
    segments: dict[str, Segment] | None = None
    text: dict[str, tuple[str, ...]] | None = None
    spk2gender: dict[str, str] | None = None
    feats: dict[str, str] | None = None
    cmvn: dict[str, str] | None = None
    utt2num_frames: dict[str, int] | None = None
    utt2dur: dict[str, float] | None = None

    @cached_property
    def utterances(self) -> tuple[str, ...]:
        """All utterances, sorted in the C locale."""
        return tuple(sorted(self.utt2spk, key=str.encode))

    @cached_property
    def spk2utt(self) -> dict[str, tuple[str, ...]]:
        """The utterances of every speaker, both sorted in the C locale."""
        speakers: dict[str, list[str]] = {}
        for utt in self.utterances:
            speakers.setdefault(self.utt2spk[utt], []).append(utt)
        return {s: tuple(speakers[s]) for s in sorted(speakers, key=str.encode)}

    def recording_of(self, utt: str) -> str:
        """The recording that an utterance is, or is cut from."""
        return utt if self.segments is None else self.segments[utt].recording

    def part_of(self, utt: str) -> Part:
        """What an utterance is of its recording."""
        return WHOLE if self.segments is None else self.segments[utt].part


def _number(path: Path, key: str, value: str) -> float:
    try:
        number = float(value)
        if math.isfinite(number):
            return number
        raise ValueError
    except ValueError:
        raise DataError(
            f"{path}: {key!r}: expected a number, got {value!r}; mend it"
        ) from None


def _read_segments(path: Path) -> dict[str, Segment]:
    segments = {}
    for utt, value in read_table(path).items():
        segment = parse_segment(value)
        if segment is None:
            raise DataError(f"{path}: {utt!r}: expected {FORM}, got {value!r}; mend it")
        segments[utt] = segment
    return segments


def read_datadir(path: str | Path) -> DataDir:
    """Reads the tables of a data dir; what belongs together is checked by `validate`.

    Raises:
        DataError: `wav.scp` or `utt2spk` is missing, or a line is not of its table's form.
    """
    place = Path(path)
    recover(place)

    def optional(name: str) -> dict[str, str] | None:
        return read_table(place / name) if (place / name).exists() else None

    text, frames, durations = (
        optional(n) for n in ("text", "utt2num_frames", "utt2dur")
    )
    return DataDir(
        path=place,
        wav=read_table(place / "wav.scp"),
        utt2spk=read_table(place / "utt2spk"),
        segments=(
            _read_segments(place / "segments")
            if (place / "segments").exists()
            else None
        ),
        text=(
            None
            if text is None
            else {u: tuple(line.split()) for u, line in text.items()}
        ),
        spk2gender=optional("spk2gender"),
        feats=optional("feats.scp"),
        cmvn=optional("cmvn.scp"),
        utt2num_frames=(
            None
            if frames is None
            else {
                u: int(_number(place / "utt2num_frames", u, n))
                for u, n in frames.items()
            }
        ),
        utt2dur=(
            None
            if durations is None
            else {u: _number(place / "utt2dur", u, n) for u, n in durations.items()}
        ),
    )


FILES = {
    "wav": "wav.scp",
    "utt2spk": "utt2spk",
    "spk2gender": "spk2gender",
    "feats": "feats.scp",
    "cmvn": "cmvn.scp",
}


def write_datadir(data: DataDir, path: str | Path) -> None:
    """Writes all tables of a data dir, and `spk2utt`; each file whole or not at all."""
    place = Path(path)
    place.mkdir(parents=True, exist_ok=True)
    for attribute, name in FILES.items():
        table = getattr(data, attribute)
        if table is not None:
            write_table(place / name, table)
    write_table(
        place / "spk2utt", {s: " ".join(utts) for s, utts in data.spk2utt.items()}
    )
    if data.segments is not None:
        write_table(place / "segments", {u: str(s) for u, s in data.segments.items()})
    if data.text is not None:
        write_table(
            place / "text", {u: " ".join(words) for u, words in data.text.items()}
        )
    if data.utt2num_frames is not None:
        write_table(
            place / "utt2num_frames",
            {u: str(n) for u, n in data.utt2num_frames.items()},
        )
    if data.utt2dur is not None:
        write_table(place / "utt2dur", {u: f"{d:.4f}" for u, d in data.utt2dur.items()})


def restrict(data: DataDir, utterances: set[str]) -> DataDir:
    """The data dir of some of the utterances: tables by utterance, speaker, recording cut down."""
    kept = {u: s for u, s in data.utt2spk.items() if u in utterances}
    smaller = dataclasses.replace(data, utt2spk=kept)
    recordings = {data.recording_of(u) for u in kept}
    keep = {
        "wav": recordings,
        "segments": set(kept),
        "text": set(kept),
        "spk2gender": set(kept.values()),
        "feats": set(kept),
        "cmvn": set(kept.values()),
        "utt2num_frames": set(kept),
        "utt2dur": set(kept),
    }
    tables: dict[str, Any] = {
        name: {k: v for k, v in table.items() if k in keys}
        for name, keys in keep.items()
        if (table := getattr(data, name)) is not None
    }
    return dataclasses.replace(smaller, **tables)
