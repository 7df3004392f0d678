"""Files beside the tables of a data dir: they travel with what their lines begin with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.tables import read_lines, read_table
from pipeline.datadir.times import ctm_lines, read_ctm

# By what their lines begin with; a data dir may have them.
BY_UTTERANCE = (
    *("words", "utt2speed", "phones.ctm", "words.ctm"),
    *("utt2lang", "utt2uniq", "utt2warp", "vad.scp"),
)
BY_SPEAKER = ("spk2age", "spk2dialect", "spk2warp")
BY_RECORDING = ("reco2file_and_channel", "reco2dur")
_MARKS = ("phones.ctm", "words.ctm")
_IN_FRAMES = ("vad.scp",)  # of the features, which go
WHOLE = ("features.yaml",)


def write_lines(lines: Iterable[str], target: Path) -> None:
    """Writes lines sorted by what they begin with; what begins alike stays in its order."""
    ordered = sorted(lines, key=lambda line: line.split()[0].encode())
    write_text(target, "".join(f"{line}\n" for line in ordered))


def copy_further(data: DataDir, source: Path, target: Path) -> None:
    """Copies what the files beside the tables of `source` say of a data dir's content."""
    wanted = {
        BY_UTTERANCE: set(data.utterances),
        BY_SPEAKER: set(data.spk2utt),
        BY_RECORDING: set(data.wav),
    }
    for names, keys in wanted.items():
        for name in names:
            if (source / name).exists():
                lines = [x for x in read_lines(source / name) if x.strip()]
                kept = [line for line in lines if line.split()[0] in keys]
                write_lines(kept, target / name)


def copy_perturbed(
    data: DataDir, prefixes: Mapping[float, str], target: Path
) -> list[str]:
    """Writes what the files beside the tables say of a data dir's copies at other speeds.

    Times of utterances are divided by the speed; what is said of whole recordings stays, for
    these are the same files.

    Args:
        data: what is copied.
        prefixes: of the names of utterances, speakers and recordings, by speed.
        target: folder to write to.

    Returns:
        Files left out: what they say holds at the old speed only.
    """
    for name in _MARKS:
        if (data.path / name).exists():
            marks = read_ctm(data.path / name)
            rows = (
                line
                for speed, prefix in prefixes.items()
                for utt in filter(marks.__contains__, data.utterances)
                for line in ctm_lines(
                    prefix + utt,
                    (
                        replace(m, start=m.start / speed, end=m.end / speed)
                        for m in marks[utt]
                    ),
                )
            )
            write_lines((row.rstrip("\n") for row in rows), target / name)
    done = (*_MARKS, *_IN_FRAMES, "utt2speed")
    for name in (*BY_UTTERANCE, *BY_SPEAKER, *BY_RECORDING):
        if name not in done and (data.path / name).exists():
            lines = [x for x in read_lines(data.path / name) if x.strip()]
            write_lines(
                (prefix + line for prefix in prefixes.values() for line in lines),
                target / name,
            )
    return [name for name in _IN_FRAMES if (data.path / name).exists()]


def read_speeds(path: str | Path) -> dict[str, float]:
    """Reads `utt2speed`; DataError where a speed is no number."""
    speeds = {}
    for utt, value in read_table(path).items():
        try:
            speeds[utt] = float(value)
        except ValueError:
            raise DataError(
                f"{path}: {utt!r}: expected a number, got {value!r}"
            ) from None
    return speeds
