"""Stage decode: features and a model -> phone sequences."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.archive import ArchiveWriter
from features.errors import ConfigError, DataError
from features.files import write_text
from pipeline.batch.crew import Crewing, cut_shares
from pipeline.batch.network import lost_utterance, network_share
from pipeline.config import check, load, parse_yaml, save
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.tables import write_table
from pipeline.datadir.times import PhoneInterval, write_ctm
from pipeline.decoding.arpa import read_arpa
from pipeline.decoding.decoder import Clock, Decoder
from pipeline.decoding.ngram import flat_bigram, phone_bigram
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tuning import Trial
from pipeline.stage import Accounting, Stamp, note, progress, require
from pipeline.tuning import tuned, tuning_table

if TYPE_CHECKING:
    from pipeline.nnet.recogniser import Recogniser

Posteriors = Iterable[tuple[str, np.ndarray]]
OUTPUTS = ("settings.yaml", "ctm", "hyp")


@dataclass(frozen=True)
class Job:
    """A set to decode.

    Attributes:
        data: the set.
        lang: its phones.
        grammar: ARPA file; None where no model of sequences is used.
    """

    data: DataDir
    lang: Lang
    grammar: Path | None

    def decoder(self, recogniser: "Recogniser") -> Decoder:
        """The search for a model's posteriors.

        Raises:
            DataError: the model, the lang dir and the grammar have different phones.
        """
        recogniser.check_data(self.data.path, self.lang.phones)
        phones = self.lang.phones
        bigram = flat_bigram(len(phones))
        ctc = recogniser.objective == "ctc"
        if self.grammar is not None and not ctc:
            source = str(self.grammar)
            bigram = phone_bigram(read_arpa(self.grammar), phones, source=source)
        states = 1 if ctc else recogniser.states_per_phone
        return Decoder(phones, bigram, recogniser.log_priors, states, ctc)

    def posteriors(
        self, recogniser: "Recogniser", decoder: Decoder, run: "Network"
    ) -> Posteriors:
        """Runs the network over the set; each utterance's posteriors are checked.

        Args:
            recogniser: the model.
            decoder: its search, which knows what posteriors must be like.
            run: who runs the network.

        Raises:
            DataError: utterances have no features (all are named).
        """
        absent = sorted(set(self.data.utterances) - set(self.data.feats or {}))
        if absent:
            raise DataError(
                f"{self.data.path}/feats.scp: no features of {len(absent)} utterances: "
                f"{', '.join(absent[:10])}; run keraldi extract, or remove them with "
                "keraldi validate --fix"
            )
        outputs = run.posteriors(recogniser, self.data)
        total, label = len(self.data.utterances), f"decode {self.data.path}"
        for utt, matrix in progress(outputs, total=total, label=label):
            decoder.check(utt, matrix)
            yield utt, matrix


@dataclass(frozen=True)
class Network:
    """Who runs the network of a model.

    Attributes:
        crewing: how many processes.
        model: model dir.
        marks: folder for their marks.
    """

    crewing: Crewing
    model: str
    marks: Path

    def posteriors(self, recogniser: "Recogniser", data: DataDir) -> Posteriors:
        """Log-posteriors of a set's utterances in order."""
        if self.crewing.alone:
            return recogniser.log_posteriors(recogniser.inputs(data))
        work = partial(network_share, self.model, str(data.path))
        shares = cut_shares(
            data.utterances, [0] * len(data.utterances), workers=self.crewing.nj
        )
        return self.crewing.in_order(work, shares, lost_utterance, marks=self.marks)


def _found(
    job: Job,
    decoder: Decoder,
    posteriors: Posteriors,
    settings: DecodeSettings,
    clock: Clock,
) -> dict[str, list[PhoneInterval]]:
    """The phones of every utterance; one utterance's posteriors are in memory at a time."""
    durations = job.data.utt2dur or {}
    marks = {}
    for utt, matrix in posteriors:
        tokens = decoder.decode(matrix, settings)
        length = durations[utt] if utt in durations else None
        marks[utt] = decoder.intervals(tokens, matrix, clock, length)
    return marks


@contextlib.contextmanager
def _stored(posteriors: Posteriors, folder: Path, wanted: bool) -> Iterator[Posteriors]:
    """Posteriors that are also written to `posteriors.ark` as they pass, where wanted."""
    ark, scp = folder / "posteriors.ark", folder / "posteriors.scp"
    if not wanted:
        yield posteriors
        return
    with ArchiveWriter(ark, scp) as writer:

        def passing() -> Posteriors:
            for utt, matrix in posteriors:
                writer.write(utt, matrix)
                yield utt, matrix

        yield passing()


def _replace_outputs(
    folder: Path,
    marks: Mapping[str, list[PhoneInterval]],
    settings: DecodeSettings,
    trials: list[Trial],
    *,
    posteriors: bool,
) -> None:
    """Puts new hypotheses in place of old ones, which no reader can mistake for each other.

    `hyp` goes first and comes last: a run killed in between leaves none. The error rates of
    the old hypotheses go with them.
    """
    stale = ["hyp", "tuning", "scoring/per"]
    stale += [] if posteriors else ["posteriors.scp", "posteriors.ark"]
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    save(folder / "settings.yaml", settings)
    write_ctm(folder / "ctm", marks)
    if trials:
        write_text(folder / "tuning", tuning_table(trials))
    rows = {utt: " ".join(m.phone for m in found) for utt, found in marks.items()}
    write_table(folder / "hyp", rows)


def _choose_settings(
    frozen: str | None, given: dict[str, float | int | None], tuning: bool
) -> DecodeSettings:
    """Settings from a frozen file, or from the options; checked alike."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if frozen is None:
        return check(chosen, DecodeSettings, source="options")
    if chosen or tuning:
        options = ["tune"] * tuning + list(chosen)
        raise ConfigError(
            f"--settings {frozen} freezes every setting; leave out "
            + ", ".join("--" + name.replace("_", "-") for name in options)
        )
    absent = [
        f.name
        for f in fields(DecodeSettings)
        if f.name not in (parse_yaml(frozen) or {})
    ]
    if absent:
        raise ConfigError(
            f"{frozen}: no {', '.join(absent)}; give a settings.yaml as decode --tune wrote it"
        )
    return load(frozen, DecodeSettings)


def _grammar(arpa: str | None, lang: Path) -> Path | None:
    """The ARPA file asked for, or the lang dir's own, or none."""
    if arpa is not None:
        require(arpa, mend="run keraldi lm")
        return Path(arpa)
    own = lang / "lm.arpa"
    return own if own.exists() else None


def _inputs(
    model: Path, data: Path, lang: Path, grammar: Path | None, tuning: bool
) -> list[Path]:
    """The files whose content decides the hypotheses."""
    features = ("feats.scp", "cmvn.scp", "utt2spk", ".stamps/extract.json")
    inputs = [model / "final.keras", *(data / name for name in features)]
    inputs += [lang / "phones.txt"] + ([grammar] if grammar else [])
    if tuning:
        tables = ("fold.map", "lexicon.txt", "silence.txt")
        inputs += [data / "text", *(lang / name for name in tables)]
    return inputs


def _told(
    settings: DecodeSettings, job: Job, decoder: Decoder, tuning: bool
) -> DecodeSettings:
    """Says what a reader of the error rate must know; completes the settings' record."""
    grammar = None if job.grammar is None or decoder.ctc else str(job.grammar)
    used = replace(
        settings,
        search="greedy ctc" if decoder.ctc else "viterbi",
        grammar=grammar,
        decoded=str(job.data.path),
    )
    if tuning and decoder.ctc:
        note("decode: greedy CTC has no settings to tune")
    elif grammar is None and not decoder.ctc:
        note("decode: no lm.arpa in the lang dir: decoding without a language model")
    if settings.search is not None and (settings.search, settings.grammar) != (
        used.search,
        grammar,
    ):
        note(
            f"decode: warning: the settings were chosen for {settings.search} with "
            f"{settings.grammar}, and are used for {used.search} with {grammar}"
        )
    if used.tuned_on_itself:
        note(
            f"decode: warning: the settings were tuned on {job.data.path} itself; its PER "
            "will be marked so"
        )
    return used


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
    nj: int = 1,
    scheduler: str | None = None,
) -> None:
    """Decodes a set with a model: `hyp`, `ctm` with confidences, `settings.yaml`.

    Args:
        model: model dir with `final.keras`.
        data: data dir with features.
        out: decode dir to make.
        lang: lang dir.
        arpa: phone n-gram; `lm.arpa` of the lang dir when there is one.
        settings: `settings.yaml` frozen on another set.
        tune: choose LM weight and insertion penalty on this set, by its PER.
        lm_weight: of the log bigram; 1 when not given.
        insertion_penalty: taken off for every phone, in nats; 0 when not given.
        acoustic_scale: of the acoustic scores; 1 when not given.
        prior_scale: of the log priors; 1 when not given.
        min_frames: network frames a phone lasts at least; 1 when not given.
        posteriors: write log-posteriors too, as `posteriors.ark`.
        nj: processes of this machine that run the network.
        scheduler: address of a running dask scheduler, whose workers do it in their place.
    """
    network = Network(Crewing(nj, scheduler), model, Path(out) / ".stamps" / "marks")
    require(model, data, lang, mend="run the stages before this one")
    given = {
        "lm_weight": lm_weight,
        "insertion_penalty": insertion_penalty,
        "acoustic_scale": acoustic_scale,
        "prior_scale": prior_scale,
        "min_frames": min_frames,
    }
    chosen = _choose_settings(settings, given, tune)
    grammar = _grammar(arpa, Path(lang))
    folder = Path(out)
    stamp = Stamp.of(
        folder,
        "decode",
        settings={**asdict(chosen), "tune": tune, "posteriors": posteriors},
        inputs=_inputs(Path(model), Path(data), Path(lang), grammar, tune),
    )
    if stamp.matches(*(folder / name for name in OUTPUTS)):
        note(f"decode: {folder} is up to date")
        return
    from pipeline.nnet.recogniser import load_recogniser  # brings TensorFlow

    job = Job(read_datadir(data), read_lang(lang), grammar)
    recogniser = load_recogniser(model)
    decoder = job.decoder(recogniser)
    chosen = _told(chosen, job, decoder, tune)
    clock = Clock(
        recogniser.features.frame_shift_ms / 1000,
        recogniser.features.frame_length_ms / 1000,
        recogniser.frontend.skip,
    )
    trials: list[Trial] = []
    with _stored(
        job.posteriors(recogniser, decoder, network), folder, posteriors
    ) as stream:
        if tune and not decoder.ctc:
            held = dict(stream)
            chosen, trials = tuned(decoder, held, job.data, job.lang, chosen)
            stream = held.items()
        marks = _found(job, decoder, stream, chosen, clock)
    _replace_outputs(folder, marks, chosen, trials, posteriors=posteriors)
    stamp.write()
    accounting = Accounting()
    accounting.keep(len(marks))
    note(f"decode: {folder}: {accounting.line()}")
