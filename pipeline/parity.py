"""Proof that an exported model says what the trained one says, and what that costs."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.audio import read_audio, resample
from features.augment import speed
from features.errors import DataError
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import Lang
from pipeline.extract import make_jobs
from pipeline.nnet.artefact import Runtime
from pipeline.recogniser import Search
from pipeline.scoring.counts import ErrorCounts, count_errors
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.table import headline_policy

Waveforms = dict[str, np.ndarray]
Texts = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Trial:
    """A set that models are compared on.

    Attributes:
        name: of the set.
        rate_hz: of the waveforms.
        waveforms: samples [S] float32 at the model's rate, by utterance.
        references: folded phones by utterance; None where there are none.
        lang: folds hypotheses; None where there are no references.
    """

    name: str
    rate_hz: int
    waveforms: Waveforms
    references: Texts | None = None
    lang: Lang | None = None

    @property
    def policy(self) -> str | None:
        """What is done about silence before errors are counted, as `score` does it."""
        if self.references is None or self.lang is None:
            return None
        return headline_policy(self.references, self.lang.scoring_silence)

    @property
    def seconds(self) -> float:
        """All audio."""
        return sum(len(samples) for samples in self.waveforms.values()) / self.rate_hz


@dataclass(frozen=True)
class Heard:
    """What a model made of a trial.

    Attributes:
        posteriors: [T, V] by utterance.
        errors: against the references; None without.
        times_real_time: seconds of audio a second, front end and network, one at a time.
    """

    posteriors: Mapping[str, np.ndarray]
    errors: ErrorCounts | None
    times_real_time: float


def noise_trial(rate_hz: int) -> Trial:
    """Where no data dir is given: noise that swells and fades, of several lengths."""
    random = np.random.default_rng(0)
    waveforms = {}
    for number, seconds in enumerate((0.1, 1.0, 3.7)):
        length = int(seconds * rate_hz)
        swell = np.exp(-4.0 * np.linspace(-1.0, 1.0, length) ** 2)
        samples = 0.1 * swell * random.standard_normal(length)
        waveforms[f"noise{number}"] = samples.astype(np.float32)
    return Trial("noise", rate_hz, waveforms)


def data_trial(
    path: str | Path, lang: Lang, rate_hz: int, *, allow_pipes: bool = False
) -> Trial:
    """The utterances of a data dir, in memory.

    Args:
        path: data dir with audio and `text`.
        lang: turns its words into phones, and folds them.
        rate_hz: of the model.
        allow_pipes: whether commands in `wav.scp` may be run.

    Raises:
        DataError: there is no `text`, or a word is unknown.
        AudioError: a recording cannot be used.
    """
    data = read_datadir(path)
    if data.text is None:
        raise DataError(f"{path}/text: no such file; a PER needs references")
    lang.check_oov(data.text, source=f"{path}/text")
    waveforms = {}
    for job in make_jobs(data):
        samples, rate = read_audio(job.source, job.part, allow_pipes=allow_pipes)
        samples = speed(resample(samples, rate, rate_hz), job.speed, rate_hz)
        waveforms[job.utt] = np.ascontiguousarray(samples)
    references = {
        utt: lang.fold.fold(lang.phones_of(data.text[utt])) for utt in waveforms
    }
    return Trial(str(path), rate_hz, waveforms, references, lang)


def _errors(
    trial: Trial, search: Search, posteriors: Mapping[str, np.ndarray]
) -> ErrorCounts | None:
    policy = trial.policy
    if policy is None or trial.references is None or trial.lang is None:
        return None
    total, silence = ErrorCounts(), trial.lang.scoring_silence
    symbols = search.decoder.phones.symbols
    for utt, matrix in posteriors.items():
        tokens = search.decoder.decode(matrix, search.settings)
        found = trial.lang.fold.fold([symbols[token.phone] for token in tokens])
        sides = (trial.references[utt], found)
        total += count_errors(*(POLICIES[policy](side, silence) for side in sides))
    return total


def hear(trial: Trial, runtime: Runtime, search: Search) -> Heard:
    """Runs a model over a trial; the first utterance is run once before the clock starts."""
    runtime.log_posteriors(next(iter(trial.waveforms.values())))
    began = time.perf_counter()
    posteriors = {
        utt: runtime.log_posteriors(samples) for utt, samples in trial.waveforms.items()
    }
    spent = time.perf_counter() - began
    errors = _errors(trial, search, posteriors)
    return Heard(posteriors, errors, trial.seconds / spent)


def largest_difference(
    left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]
) -> float:
    """The largest difference of two models' log-posteriors.

    Raises:
        DataError: an utterance has another number of frames or outputs.
    """
    for utt, matrix in left.items():
        if matrix.shape != right[utt].shape:
            raise DataError(
                f"{utt}: posteriors of shape {list(right[utt].shape)} where the trained model "
                f"has {list(matrix.shape)}"
            )
    return max(float(np.abs(left[utt] - right[utt]).max()) for utt in left)


def table(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Parity as lines of text, one a model."""
    head = f"{'artefact':<18}{'MB':>7}{'x real time':>13}{'largest diff':>14}{'%PER':>8}{'diff':>8}"
    lines = [head]
    for row in rows:
        per = "-" if row["per"] is None else f"{row['per']:.2f}"
        change = (
            "-" if row["per_difference"] is None else f"{row['per_difference']:+.2f}"
        )
        lines.append(
            f"{row['file']!s:<18}{row['bytes'] / 1e6:>7.2f}"  # type: ignore[operator]
            f"{row['times_real_time']:>13.0f}{row['largest_difference']:>14.2e}"
            f"{per:>8}{change:>8}{'' if row['kept'] else '  refused'}"
        )
    return lines
