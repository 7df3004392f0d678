"""Time marks that a user has, brought to the utterances of a data dir."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from features.audio import audio_duration
from features.errors import AudioError, ConfigError, DataError, named
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.further import read_speeds
from pipeline.datadir.textgrid import read_textgrid
from pipeline.datadir.times import (
    OVERHANG,
    PhoneInterval,
    check_order,
    holes,
    read_ctm,
    read_phn,
)

_SHORTEST = 0.001  # seconds of silence: less comes of rounding
_KINDS = (".textgrid", ".phn", ".ctm")


@dataclass(frozen=True)
class Marked:
    """The marks of an utterance, by time, and the file that they are from."""

    intervals: Sequence[PhoneInterval]
    source: Path


def _files(paths: Iterable[str]) -> Iterator[Path]:
    """The files of marks that paths name, those in folders by their suffix."""
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _KINDS)
            if not inside:
                raise DataError(
                    f"{path}: no .TextGrid, .PHN or .ctm in it; give another"
                )
            yield from inside
        elif path.suffix.lower() in _KINDS or path.name == "ctm":
            yield path
        else:
            raise ConfigError(
                f"{path}: expected a file that ends in .TextGrid, .PHN or .ctm, or a folder of "
                "such; rename it"
            )


def _read(path: Path, tier: str) -> dict[str, list[PhoneInterval]]:
    """The intervals of a file by utterance: CTM names them, other files are named by them."""
    kind = path.suffix.lower()
    if kind == ".textgrid":
        return {path.stem: read_textgrid(path, tier=tier)}
    return {path.stem: read_phn(path)} if kind == ".phn" else read_ctm(path)


def read_marks(
    paths: Sequence[str], data: DataDir, *, tier: str = "phones"
) -> dict[str, Marked]:
    """Reads marks of all utterances of a data dir.

    Args:
        paths: TextGrids and TIMIT's .PHN, named by utterance; CTM; folders of them.
        data: whose utterances they are.
        tier: of TextGrids.

    Raises:
        ConfigError: a path is no such file.
        DataError: lists marks of unknown utterances, those that come twice or overlap, and
            utterances without any.
    """
    found: dict[str, Marked] = {}
    faults = []
    for path in _files(paths):
        for name, intervals in _read(path, tier).items():
            # Results of keraldi transcribe are named so that any file system can hold them.
            utt = unquote(name) if unquote(name) in data.utt2spk else name
            if utt not in data.utt2spk:
                faults.append(
                    f"{path}: utterance {utt!r} is absent from {data.path}/utt2spk; name the "
                    "marks by utterance, or leave them out"
                )
            elif utt in found:
                faults.append(
                    f"{path}: utterance {utt!r} has marks in {found[utt].source} too; give one"
                )
            elif not intervals:
                faults.append(f"{path}: no phone is marked; mark some, or leave it out")
            else:
                check_order(intervals, f"{path}: {utt!r}")
                found[utt] = Marked(intervals, path)
    if absent := [utt for utt in data.utterances if utt not in found]:
        faults.append(f"{data.path}: no marks of {named(absent)}; give them too")
    if faults:
        raise DataError.of(faults)
    return found


def lengths(data: DataDir) -> dict[str, float]:
    """Seconds of the utterances as they are heard, those whose audio tells.

    They are those of `utt2dur`, or of segments and headers of files, at the utterance's speed;
    commands are not run.
    """
    table = data.path / "utt2speed"
    speeds = read_speeds(table) if table.exists() else {}
    found = dict(data.utt2dur or {})
    for utt in data.utterances:
        if utt in found or (data.segments is not None and utt not in data.segments):
            continue
        segment = data.segments[utt] if data.segments is not None else None
        start, end = (segment.start, segment.end) if segment else (0.0, -1.0)
        entry = data.wav.get(data.recording_of(utt), "|")
        if end < 0 and not entry.endswith("|"):
            try:
                end = audio_duration(entry)
            except AudioError:
                continue  # validate and extract say what is wrong with it
        if end >= 0:
            found[utt] = (end - start) / speeds.get(utt, 1.0)
    return found


def check_ends(
    marks: dict[str, Marked], seconds: dict[str, float], *, source: Path
) -> None:
    """Checks that marks end with their utterances, or a little behind.

    Raises:
        DataError: lists those that do not.
    """
    faults = [
        f"{marked.source}: marks of {utt!r} end at {end:.3f} s, but it is {seconds[utt]:.3f} s "
        f"long in {source}; mend the times, or give the audio that they are of"
        for utt, marked in marks.items()
        if utt in seconds
        and (end := marked.intervals[-1].end) > seconds[utt] + OVERHANG
    ]
    if faults:
        raise DataError.of(faults)


def filled(
    intervals: Sequence[PhoneInterval], silence: str, end: float | None
) -> list[PhoneInterval]:
    """Marks with silence where there are none: before, between and, where `end` is known, behind.

    Args:
        intervals: by time.
        silence: its phone.
        end: of the utterance, in seconds.
    """
    gaps = holes(intervals, _SHORTEST)
    if end is not None and end - intervals[-1].end > _SHORTEST:
        gaps.append((intervals[-1].end, end))
    marks = [*intervals, *(PhoneInterval(silence, *gap) for gap in gaps)]
    return sorted(marks, key=lambda mark: mark.start)
