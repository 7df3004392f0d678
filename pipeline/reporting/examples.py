"""Utterances to look at and listen to: spectrogram, posteriorgram, audio."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.archive import ArchiveReader
from features.audio import read_audio
from features.errors import AudioError, DataError
from pipeline.config import parse_yaml
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.phones import read_phones
from pipeline.decoding.decoder import Clock
from pipeline.reporting.media import (
    audio,
    phone_posteriors,
    posteriorgram,
    spectrogram,
)
from pipeline.reporting.sources import ModelDir, ScoredSet

_HIGHEST_HZ = 16000  # more would only make the page larger
_BLANK = "blank"


def read_utterance(
    data: DataDir, utt: str, *, allow_pipes: bool
) -> tuple[np.ndarray, int]:
    """The samples [S] float32 of an utterance and their rate, 16 kHz at most."""
    recording = data.recording_of(utt)
    if recording not in data.wav:
        raise DataError(f"{data.path}/wav.scp: no recording {recording!r}; add it")
    part: dict[str, float | None] = {"start": 0.0, "end": None}
    if data.segments is not None:
        segment = data.segments[utt]
        part = {
            "start": segment.start,
            "end": None if segment.end < 0 else segment.end,
        }
    place = data.wav[recording]
    start, end = part["start"] or 0.0, part["end"]
    samples, rate = read_audio(place, start=start, end=end, allow_pipes=allow_pipes)
    if rate <= _HIGHEST_HZ:
        return samples, rate
    samples, _ = read_audio(
        place, rate_hz=_HIGHEST_HZ, start=start, end=end, allow_pipes=allow_pipes
    )
    return samples, _HIGHEST_HZ


@dataclass(frozen=True)
class Scale:
    """What the columns and rows of a model's posteriors are.

    Attributes:
        phones: names of the columns, states of one added up.
        states: of each phone.
        clock: where the rows lie in time.
    """

    phones: tuple[str, ...]
    states: int
    clock: Clock

    def draw(self, log_posteriors: np.ndarray, wanted: Iterable[str]) -> dict[str, Any]:
        """The picture of [T, V] log-posteriors: `image`, `rows`, `start` and `end` seconds."""
        values = phone_posteriors(log_posteriors, len(self.phones), self.states)
        names = self.phones + (_BLANK,) * (values.shape[1] - len(self.phones))
        if len(names) != values.shape[1]:
            raise DataError(
                f"posteriors have {values.shape[1]} columns for {len(self.phones)} phones"
            )
        image, rows = posteriorgram(values, names, list(wanted))
        end = self.clock.border(len(values))
        start = max(0.0, self.clock.border(0))
        return {"image": image, "rows": rows, "start": start, "end": end}


def read_scale(model: ModelDir, data: DataDir) -> Scale:
    """Reads what posteriors mean from a model dir and its features.

    Raises:
        DataError: one of the files that say so is missing.
    """
    settings = data.path / "features.yaml"
    try:
        features = parse_yaml(settings)
        frontend, objective = model.config["frontend"], model.config["objective"]
        states = objective["states"] if objective["type"] != "ctc" else 1
        clock = Clock(
            features["frame_shift_ms"] / 1000,
            features["frame_length_ms"] / 1000,
            frontend["skip"],
        )
    except (KeyError, TypeError, OSError) as error:
        raise DataError(
            f"{model.path}/config.yaml, {settings}: no {error}; times of posteriors are unknown"
        ) from None
    return Scale(read_phones(model.path / "phones.txt").symbols, states, clock)


def stored_posteriors(
    folder: Path, utterances: Iterable[str]
) -> Mapping[str, np.ndarray]:
    """Log-posteriors that `decode --posteriors` left, of some utterances; none without them."""
    if not (folder / "posteriors.scp").exists():
        return {}
    reader = ArchiveReader(folder / "posteriors.scp")
    return {utt: reader[utt] for utt in utterances if utt in reader}


def make_examples(
    found: ScoredSet,
    utterances: Iterable[str],
    posteriors: Mapping[str, np.ndarray],
    scale: Scale | None,
    *,
    allow_pipes: bool,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Draws utterances of a set.

    Args:
        found: the set.
        utterances: those to draw.
        posteriors: [T, V] log-posteriors of those that have any.
        scale: what they mean; None where there are none.
        allow_pipes: whether commands of `wav.scp` may run.

    Returns:
        By utterance `seconds`, `spectrogram`, `top_hz`, `audio`, `posteriors`, each where it
        could be made; and what could not, and why.
    """
    made: dict[str, dict[str, Any]] = {}
    notes = []
    for utt in utterances:
        item: dict[str, Any] = {}
        if found.data is not None:
            try:
                samples, rate = read_utterance(found.data, utt, allow_pipes=allow_pipes)
            except AudioError as error:
                notes.append(f"no audio of {utt}: {error}")
            else:
                item["seconds"] = len(samples) / rate
                item["spectrogram"] = spectrogram(samples, rate)
                item["top_hz"] = rate / 2
                item["audio"] = audio(samples, rate)
        if utt in posteriors and scale is not None:
            marks = found.hypotheses.get(utt, []) + found.references.get(utt, [])
            item["posteriors"] = scale.draw(posteriors[utt], {m.phone for m in marks})
        made[utt] = item
    return made, notes
