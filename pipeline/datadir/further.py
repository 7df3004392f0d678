"""Files beside the tables of a data dir: they travel with what their lines begin with."""

from collections.abc import Iterable
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.tables import read_lines, read_table

# By what their lines begin with; a data dir may have them.
BY_UTTERANCE = (
    *("words", "utt2speed", "phones.ctm"),
    *("utt2lang", "utt2uniq", "utt2warp", "vad.scp"),
)
BY_SPEAKER = ("spk2age", "spk2dialect", "spk2warp")
BY_RECORDING = ("reco2file_and_channel", "reco2dur")
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
