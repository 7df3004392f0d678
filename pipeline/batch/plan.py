"""What makes a recogniser at work, in words that any process can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.frontend import FrontendOptions
from pipeline.batch.exported import is_exported
from pipeline.stage import fingerprint


def model_file(model: str) -> Path:
    """The file that a model is in: an exported one, or that of a model dir."""
    return Path(model) if is_exported(model) else Path(model) / "final.keras"


@dataclass(frozen=True)
class Plan:
    """What makes a recogniser at work; plain values, so that any process can be told.

    Attributes:
        model: model dir, or a `.tflite` file.
        arpa: phone n-gram, or None.
        settings: `DecodeSettings` as plain values.
        posteriors: folder for log-posteriors, or None.
        words: lang dir to align words with, or None.
        cmvn: statistics [2, F + 1] for all audio, or None for the model's, speaker's or file's.
        allow_pipes: whether commands in wav.scp may be run.
        threads: batches under way at once.
        grammar: an ARPA file's text in place of `arpa`: that of an exported model.
        content: what `fingerprints` was when the run began.
    """

    model: str
    arpa: str | None
    settings: dict[str, Any]
    posteriors: str | None = None
    words: str | None = None
    cmvn: list[list[float]] | None = None
    allow_pipes: bool = False
    threads: int = 1
    grammar: str | None = None
    content: dict[str, str] | None = None

    def fingerprints(self) -> dict[str, str]:
        """Identifies the content of the files that results depend on, audio and CMVN apart."""
        files = {"model": model_file(self.model)}
        if self.arpa is not None:
            files["arpa"] = Path(self.arpa)
        if self.words is not None:
            names = ("phones.txt", "lexicon.txt", "silence.txt")
            paths = (Path(self.words) / name for name in names)
            files |= {path.name: path for path in paths if path.exists()}
        return {name: fingerprint(path) for name, path in files.items()}

    def by_speaker(self, frontend: FrontendOptions) -> bool:
        """Whether the model is given the statistics of an item's speaker."""
        fixed = self.cmvn is not None or is_exported(self.model)
        return frontend.cmvn == "speaker" and not fixed
