"""Decoding settings by phoneme error rate: what `decode --tune` does."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.errors import DataError
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.lang import Lang
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tuning import WEIGHTS, Trial, sweep
from pipeline.scoring.table import (
    check_same_utterances,
    headline_policy,
    score_texts,
)
from pipeline.stage import note


def _references(data: DataDir, lang: Lang) -> dict[str, tuple[str, ...]]:
    """The folded phones of a set's transcripts."""
    path = f"{data.path}/text"
    if data.text is None:
        raise DataError(f"{path}: no such file; tuning needs transcripts")
    lang.check_oov(data.text, source=path)
    return {u: lang.fold.fold(lang.phones_of(line)) for u, line in data.text.items()}


def tuned(
    decoder: Decoder,
    posteriors: Mapping[str, np.ndarray],
    data: DataDir,
    lang: Lang,
    start: DecodeSettings,
) -> tuple[DecodeSettings, list[Trial]]:
    """Chooses LM weight and insertion penalty by the PER of the headline policy.

    Args:
        decoder: the search.
        posteriors: [T, S] of every utterance.
        data: the set to tune on, with transcripts.
        lang: its phones and their fold.
        start: the settings that stay as they are.

    Returns:
        The chosen settings, and all trials, best first; their cost is the PER in percent.

    Raises:
        DataError: there are no transcripts, not of the same utterances, or of unknown words.
    """
    references, silence = _references(data, lang), lang.scoring_silence
    check_same_utterances(references, posteriors, source=str(data.path))
    policy = headline_policy(references, silence)

    def rate(weight: float, penalty: float) -> float:
        settings = replace(start, lm_weight=weight, insertion_penalty=penalty)
        found = {}
        for utt, matrix in posteriors.items():
            ids = (token.phone for token in decoder.decode(matrix, settings))
            found[utt] = lang.fold.fold(decoder.phones.symbols_of(ids))
        scored = score_texts(
            references,
            found,
            policy=policy,
            silence=silence,
            utt2spk=data.utt2spk,
        )
        return scored.total.rate

    weights = WEIGHTS if start.grammar is not None else (0.0,)
    trials = sweep(rate, weights=weights)
    best = trials[0]
    note(
        f"decode: lm_weight {best.lm_weight:g}, insertion_penalty {best.insertion_penalty:g}: "
        f"best of {len(trials)} trials on {data.path}, {policy} PER {best.cost:.2f} %"
    )
    chosen = replace(
        start,
        lm_weight=best.lm_weight,
        insertion_penalty=best.insertion_penalty,
        tuned_on=str(data.path),
    )
    return chosen, trials


def tuning_table(trials: list[Trial]) -> str:
    """All trials as text, best first."""
    rows = (
        f"{t.cost:.2f} {t.lm_weight:g} {t.insertion_penalty:g}\n"
        for t in sorted(trials)
    )
    return "".join(["# %PER lm_weight insertion_penalty\n", *rows])
