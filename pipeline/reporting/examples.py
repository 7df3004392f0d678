"""Utterances to look at and listen to: spectrogram, posteriorgram, audio."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from features.audio import read_audio
from features.errors import DataError
from pipeline.datadir.datadir import DataDir
from pipeline.decoding.outputs import OutputLayer
from pipeline.reporting.media import audio, posteriorgram, spectrogram
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
    place, part = data.wav[recording], data.part_of(utt)
    samples, rate = read_audio(place, part, allow_pipes=allow_pipes)
    if rate <= _HIGHEST_HZ:
        return samples, rate
    samples, _ = read_audio(place, part, rate_hz=_HIGHEST_HZ, allow_pipes=allow_pipes)
    return samples, _HIGHEST_HZ


def draw_posteriors(
    utt: str,
    *,
    found: ScoredSet,
    layer: OutputLayer | None,
    posteriors: Mapping[str, np.ndarray],
) -> dict[str, Any] | None:
    """The picture of the [T, S] log-posteriors of an utterance of a set.

    Returns:
        `image`, `rows`, and `start` and `end` in seconds; None where it has no posteriors.
    """
    if layer is None or utt not in posteriors:
        return None
    marks = found.hypotheses.get(utt, []) + found.references.get(utt, [])
    values = np.exp(layer.phone_posteriors(posteriors[utt]))
    names = [*layer.phones, *([_BLANK] if layer.ctc else [])]
    image, rows = posteriorgram(values, names, [mark.phone for mark in marks])
    start, end = layer.clock.borders(np.array([0, len(values)])).tolist()
    return {"image": image, "rows": rows, "start": max(0.0, start), "end": end}


def draw_sound(data: DataDir, utt: str, *, allow_pipes: bool) -> dict[str, Any]:
    """`seconds`, `spectrogram`, `top_hz` and `audio` of an utterance.

    Raises:
        AudioError: its sound cannot be read.
        DataError: the data dir does not say where it is.
    """
    samples, rate = read_utterance(data, utt, allow_pipes=allow_pipes)
    return {
        "seconds": len(samples) / rate,
        "spectrogram": spectrogram(samples, rate),
        "top_hz": rate / 2,
        "audio": audio(samples, rate),
    }
