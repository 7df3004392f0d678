"""Stage decode: features and a model -> phone sequences."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from features.archive import ArchiveWriter
from features.errors import ConfigError, DataError
from pipeline.config import load, save
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.tables import write_table
from pipeline.datadir.times import PhoneInterval, write_ctm
from pipeline.decoding.ngram import flat_bigram, phone_bigram, read_arpa
from pipeline.decoding.tokens import Token, greedy_ctc
from pipeline.decoding.viterbi import PhoneBigram, decode_frames
from pipeline.scoring.table import headline_policy, score_texts
from pipeline.stage import Accounting, Stamp, note, progress, require

LM_WEIGHTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
PENALTIES = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """How posteriors become phones.

    Attributes:
        acoustic_scale: of log posterior less log prior.
        prior_scale: of the log prior.
        lm_weight: of the log bigram.
        insertion_penalty: taken off for every phone, in nats.
        min_frames: network frames a phone lasts at least.
        tuned_on: data dir these were chosen on; None when they were given.
        decoded: data dir they were used on.
    """

    __pydantic_config__ = {"extra": "forbid"}

    acoustic_scale: Annotated[float, Field(gt=0)] = 1.0
    prior_scale: Annotated[float, Field(ge=0)] = 1.0
    lm_weight: Annotated[float, Field(ge=0)] = 1.0
    insertion_penalty: float = 0.0
    min_frames: Annotated[int, Field(gt=0)] = 1
    tuned_on: str | None = None
    decoded: str | None = None


@dataclass(frozen=True)
class Decoder:
    """Turns an utterance's posteriors into tokens.

    Attributes:
        bigram: of phones, unscaled.
        log_priors: [S].
        states: states a phone.
        ctc: whether the last output is a blank and decoding is greedy.
    """

    bigram: PhoneBigram
    log_priors: np.ndarray
    states: int
    ctc: bool

    def decode(
        self, log_posteriors: np.ndarray, settings: DecodeSettings
    ) -> list[Token]:
        """The tokens of [T, S] log-posteriors."""
        if self.ctc:
            return greedy_ctc(log_posteriors)
        scores = log_posteriors - settings.prior_scale * self.log_priors
        tokens, _ = decode_frames(
            scores * settings.acoustic_scale,
            states=self.states,
            bigram=self.bigram.scaled(settings.lm_weight, settings.insertion_penalty),
            min_frames=settings.min_frames,
        )
        return tokens


def tuned(
    decoder: Decoder,
    posteriors: Mapping[str, np.ndarray],
    data: DataDir,
    lang: Lang,
    start: DecodeSettings,
) -> DecodeSettings:
    """Tries LM weights and insertion penalties on a set and takes the lowest PER.

    Raises:
        DataError: the set has no transcripts.
    """
    if data.text is None:
        raise DataError(f"{data.path}/text: no such file; tuning needs transcripts")
    silence = lang.scoring_silence
    references = {u: lang.fold.fold(lang.phones_of(w)) for u, w in data.text.items()}
    policy = headline_policy(references, silence)
    trials = []
    grid = [(w, p) for w in LM_WEIGHTS for p in PENALTIES]
    for weight, penalty in progress(grid, total=len(grid), label="decode: tune"):
        settings = replace(start, lm_weight=weight, insertion_penalty=penalty)
        found = {
            utt: lang.fold.fold(
                lang.phones.symbols_of(t.phone for t in decoder.decode(p, settings))
            )
            for utt, p in posteriors.items()
        }
        scored = score_texts(
            references, found, policy=policy, silence=silence, utt2spk=data.utt2spk
        )
        trials.append((scored.total.rate, settings))
    rate, best = min(trials, key=lambda trial: trial[0])
    note(
        f"decode: lm_weight {best.lm_weight}, insertion_penalty {best.insertion_penalty}: "
        f"lowest of {len(trials)} trials on {data.path}, {policy} PER {rate:.2f} %"
    )
    return best


def _confident(
    tokens: list[Token], posteriors: np.ndarray, states: int
) -> Iterator[float]:
    """The mean posterior of each token's phone over its frames."""
    for token in tokens:
        first = token.phone * states
        span = posteriors[token.start : token.end, first : first + states]
        yield float(np.exp(span).sum(axis=1).mean())


def _intervals(
    tokens: list[Token],
    posteriors: np.ndarray,
    lang: Lang,
    *,
    states: int,
    shift: float,
) -> list[PhoneInterval]:
    confidences = _confident(tokens, posteriors, states)
    return [
        PhoneInterval(lang.phones.symbols[t.phone], t.start * shift, t.end * shift, c)
        for t, c in zip(tokens, confidences, strict=True)
    ]


def _choose_settings(
    settings: str | None, given: dict[str, float | int | None], tuning: bool
) -> DecodeSettings:
    """Settings from a frozen file, or from the options."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if settings is None:
        return DecodeSettings(**chosen)  # type: ignore[arg-type]
    if chosen or tuning:
        raise ConfigError(
            "--settings freezes every setting; leave out --tune and "
            + ", ".join("--" + name.replace("_", "-") for name in given)
        )
    return load(settings, DecodeSettings)


def decode(
    model: str,
    data: str,
    out: str,
    *,
    lang: str,
    arpa: str | None = None,
    settings: str | None = None,
    tune: bool = False,
    lm_weight: float | None = None,
    insertion_penalty: float | None = None,
    acoustic_scale: float | None = None,
    prior_scale: float | None = None,
    min_frames: int | None = None,
    posteriors: bool = False,
) -> None:
    """Decodes a set with a model: `hyp`, `ctm` with confidences, `settings.yaml`.

    Args:
        model: model dir with `final.keras`.
        data: data dir with features.
        out: decode dir to make.
        lang: lang dir.
        arpa: phone n-gram; `lm.arpa` of the lang dir when there is one.
        settings: `settings.yaml` frozen on another set.
        tune: choose LM weight and insertion penalty on this set.
        lm_weight: of the log bigram.
        insertion_penalty: taken off for every phone.
        acoustic_scale: of the acoustic scores.
        prior_scale: of the log priors.
        min_frames: network frames a phone lasts at least.
        posteriors: write log-posteriors too, as `posteriors.ark`.
    """
    require(data, lang, mend="run the stages before this one")
    given = {
        "lm_weight": lm_weight,
        "insertion_penalty": insertion_penalty,
        "acoustic_scale": acoustic_scale,
        "prior_scale": prior_scale,
        "min_frames": min_frames,
    }
    chosen = _choose_settings(settings, given, tune)
    grammar = Path(arpa) if arpa else Path(lang) / "lm.arpa"
    if arpa:
        require(arpa, mend="run keraldi lm")
    folder = Path(out)
    stamp = Stamp.of(
        folder,
        "decode",
        settings={**asdict(chosen), "tune": tune, "posteriors": posteriors},
        inputs=[
            Path(model) / "final.keras",
            Path(data) / ".stamps" / "extract.json",
            Path(data) / "text",
            grammar,
            Path(lang) / "phones.txt",
        ],
    )
    if stamp.matches(folder / "hyp"):
        note(f"decode: {folder} is up to date")
        return
    from pipeline.nnet.recogniser import load_recogniser  # brings TensorFlow

    table, utterances = read_lang(lang), read_datadir(data)
    recogniser = load_recogniser(model)
    recogniser.check_data(data, table.phones)
    bigram = flat_bigram(len(table.phones))
    if grammar.exists():
        bigram = phone_bigram(read_arpa(grammar), table.phones)
    ctc = recogniser.objective == "ctc"
    states = recogniser.states_per_phone
    decoder = Decoder(bigram, recogniser.log_priors, states, ctc)
    outputs = recogniser.log_posteriors(recogniser.inputs(utterances))
    total = len(utterances.utterances)
    scores = dict(progress(outputs, total=total, label=f"decode {data}"))
    if chosen.tuned_on == str(Path(data)):
        note(
            f"decode: the settings were tuned on {data} itself; its PER will be marked so"
        )
    if tune and not ctc:
        chosen = replace(
            tuned(decoder, scores, utterances, table, chosen), tuned_on=str(Path(data))
        )
    marks, accounting = {}, Accounting()
    for utt, matrix in scores.items():
        tokens = decoder.decode(matrix, chosen)
        marks[utt] = _intervals(
            tokens, matrix, table, states=states, shift=recogniser.frame_shift
        )
        accounting.keep()
    if posteriors:
        with ArchiveWriter(
            folder / "posteriors.ark", folder / "posteriors.scp"
        ) as writer:
            for utt, matrix in scores.items():
                writer.write(utt, matrix)
    write_ctm(folder / "ctm", marks)
    save(folder / "settings.yaml", replace(chosen, decoded=str(Path(data))))
    write_table(
        folder / "hyp", {u: " ".join(m.phone for m in ms) for u, ms in marks.items()}
    )
    stamp.write()
    note(f"decode: {folder}: {accounting.line()}")
