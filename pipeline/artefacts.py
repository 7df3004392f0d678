"""The folder of an export: what may lie in it, what it was made from, what is still there."""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from pipeline.batch.options import given_stats
from pipeline.datadir.datadir import read_datadir
from pipeline.extract import audio_state

Format = Literal["keras", "saved_model", "tflite", "int8", "onnx"]
FILES: dict[Format, str] = {
    "keras": "model.keras",
    "saved_model": "saved_model",
    "tflite": "model.tflite",
    "int8": "model.int8.tflite",
    "onnx": "model.onnx",
}
PROOF = "parity.json"
_OF_DATA = ("wav.scp", "text", "utt2spk", "segments", "utt2speed")
_OF_LANG = ("phones.txt", "fold.map", "silence.txt", "lexicon.txt")


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is neither."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def remove(path: Path) -> None:
    """Removes an artefact, file or folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Removes all that an earlier export made: half of it beside half of another is of neither.

    Args:
        folder: an export began there, so that what has such names is Keraldi's own.
    """
    for name in (PROOF, *FILES.values()):
        remove(folder / name)


def whole(folder: Path) -> bool:
    """Whether all that the proof says was kept is there, and as large as it was."""
    try:
        rows = json.loads((folder / PROOF).read_text(encoding="utf-8"))["artefacts"]
    except (FileNotFoundError, ValueError):
        return False
    return all(size(folder / r["file"]) == r["bytes"] for r in rows if r["kept"])


def sources(
    model: str,
    data: str | None,
    lang: str | None,
    arpa: str | None,
    settings: str | None,
) -> list[Path]:
    """The files that an export depends on; some of them may not be there."""
    inputs = [Path(model) / "final.keras", *(Path(p or "") for p in (arpa, settings))]
    if data and lang:
        inputs += [Path(data) / name for name in _OF_DATA]
        inputs += [Path(lang) / name for name in _OF_LANG]
    return inputs


def asked(
    model: str, formats: list[Format], data: str | None, cmvn: str | None
) -> dict[str, Any]:
    """What an export depends on beside its sources: formats, audio, and statistics as numbers."""
    return {
        "formats": formats,
        "audio": None if data is None else audio_state(read_datadir(data)),
        # A cmvn.scp names places in an archive, which may be made again with other numbers.
        "cmvn": given_stats(model, cmvn),
    }
