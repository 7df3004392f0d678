"""Utterances to look at and listen to: spectrogram, posteriorgram, audio."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from features.audio import read_audio
from features.errors import AudioError, DataError
from pipeline.datadir.datadir import DataDir
from pipeline.decoding.outputs import OutputLayer
from pipeline.reporting.media import (
    audio,
    posteriorgram,
    spectrogram,
)
from pipeline.reporting.sources import ScoredSet

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


def draw_posteriors(
    layer: OutputLayer, log_posteriors: np.ndarray, wanted: Iterable[str]
) -> dict[str, Any]:
    """The picture of [T, S] log-posteriors: `image`, `rows`, and `start` and `end` in seconds."""
    values = np.exp(layer.phone_posteriors(log_posteriors))
    names = [*layer.phones, *([_BLANK] if layer.ctc else [])]
    image, rows = posteriorgram(values, names, list(wanted))
    start, end = max(0.0, layer.clock.border(0)), layer.clock.border(len(values))
    return {"image": image, "rows": rows, "start": start, "end": end}


def make_examples(
    found: ScoredSet,
    utterances: Iterable[str],
    posteriors: Mapping[str, np.ndarray],
    layer: OutputLayer | None,
    *,
    allow_pipes: bool,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Draws utterances of a set.

    Args:
        found: the set.
        utterances: those to draw.
        posteriors: [T, S] log-posteriors of those that have any.
        layer: what they mean; None where there are none.
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
        if utt in posteriors and layer is not None:
            marks = found.hypotheses.get(utt, []) + found.references.get(utt, [])
            wanted = {mark.phone for mark in marks}
            item["posteriors"] = draw_posteriors(layer, posteriors[utt], wanted)
        made[utt] = item
    return made, notes
