"""Stage decode: features and a model -> phone sequences."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from features.errors import ConfigError, counted, named
from features.files import check_apart
from pipeline.batch.crew import Crewing
from pipeline.config import check
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.grammar import read_grammar
from pipeline.decoding.settings import DecodeSettings, read_settings
from pipeline.decoding.tuning import Trial
from pipeline.hypotheses import OUTPUTS, Extras, Format, hear, replace_outputs
from pipeline.posteriors import Source, StoredLayer, checked, find_source, stored
from pipeline.stage import Accounting, Stamp, note, require
from pipeline.tuning import tuned

# What a search of one kind takes, and the other would not heed.
_STEPS_A_MINUTE = 1.2e10  # of an exact search, as measured on one core with 4-grams
_VITERBI = ("beam", "exact", "min_frames", "prior_scale")
_PREFIXES = ("prefixes",)
_MOST_SEQUENCES = 10_000  # an utterance: every place of the search keeps as many


def _options(names: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _refuse_unheeded(asked: Iterable[str], *, ctc: bool) -> None:
    """Raises ConfigError where an option was given that this model's search has no use for."""
    unheeded = [n for n in asked if n in (_VITERBI if ctc else _PREFIXES)]
    if unheeded:
        model, search = ("CTC", "prefix beam") if ctc else ("framewise", "Viterbi")
        raise ConfigError(
            f"{_options(unheeded)}: a {model} model is searched by {search}, which does not "
            "heed this; leave it out"
        )


def _choose_settings(
    frozen: str | None, given: dict[str, Any], tuning: bool, exact: bool
) -> DecodeSettings:
    """Settings from a frozen file, or from the options; checked alike."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if exact and "beam" in chosen:
        raise ConfigError("--exact: has no beam; leave out --beam or --exact")
    if tuning and (both := chosen.keys() & {"lm_weight", "insertion_penalty"}):
        raise ConfigError(f"--tune chooses {_options(sorted(both))}; leave out one")
    if "greedy" in chosen and (others := [*chosen, *["exact"] * exact])[1:]:
        others.remove("greedy")
        raise ConfigError(
            f"--greedy: heeds no setting; leave out {_options(others)}, or it"
        )
    if frozen is None:
        return check(
            {**chosen, "beam": None} if exact else chosen,
            DecodeSettings,
            source="options",
        )
    if chosen or tuning or exact:
        options = ["tune"] * tuning + ["exact"] * exact + list(chosen)
        raise ConfigError(
            f"--settings {frozen} freezes every setting; leave out {_options(options)}"
        )
    return read_settings(frozen)


def _grammar(arpa: str | None, lang: Path) -> Path | None:
    """The ARPA file asked for, or the lang dir's own, or none."""
    if arpa == "none":
        return None
    if arpa is not None:
        require(arpa, mend="run keraldi lm")
        return Path(arpa)
    own = lang / "lm.arpa"
    return own if own.exists() else None


def _inputs(
    source: Source, data: Path, lang: Path, grammar: Path | None, tuning: bool
) -> list[Path]:
    """The files whose content decides the hypotheses."""
    inputs = source.inputs(data)
    inputs += [lang / "phones.txt"] + ([grammar] if grammar else [])
    if tuning:
        tables = ("fold.map", "lexicon.txt", "silence.txt")
        inputs += [data / "text", *(lang / name for name in tables)]
    return inputs


def _with(grammar: str | None) -> str:
    return grammar or "no language model"


def _told(
    settings: DecodeSettings,
    layer: StoredLayer,
    grammar: Path | None,
    tuning: bool,
) -> DecodeSettings:
    """Says what a reader of the error rate must know; completes the settings' record."""
    used = replace(
        settings,
        search=settings.search_of(ctc=layer.ctc),
        grammar=None if grammar is None else str(grammar),
        decoded=layer.decoded,
        posteriors=layer.made,
    )
    if tuning and settings.greedy:
        note("decode: a greedy search has no settings to tune")
    elif used.grammar is None and not settings.greedy:
        note(
            "decode: without a language model (no lm.arpa in the lang dir, or --arpa none)"
        )
    if settings.search is not None and (settings.search, settings.grammar) != (
        used.search,
        used.grammar,
    ):
        note(
            f"decode: warning: the settings were chosen for {settings.search} with "
            f"{_with(settings.grammar)}, and are used for {used.search} with "
            f"{_with(used.grammar)}"
        )
    if used.tuned_on_itself:
        note(
            f"decode: warning: the settings were tuned on {layer.decoded} itself; its PER "
            "will be marked so"
        )
    return used


def _exact_warning(
    decoder: Decoder, settings: DecodeSettings, data: DataDir, sequences: int
) -> str | None:
    """What an exact search will take, where that is long."""
    histories, phones = decoder.exact_steps(settings)
    frames = sum((data.utt2num_frames or {}).values()) // decoder.outputs.skip
    steps = histories * phones * frames
    minutes = steps * max(1, sequences) / _STEPS_A_MINUTE
    if minutes < 1:
        return None
    return (
        f"an exact search of {frames} frames x {counted(histories, 'history', 'histories')} x "
        f"{phones} phones = {steps:.1e} steps takes about {minutes:.0f} min on one core; with "
        "a beam (15 unless --exact is given) it takes a fraction, and nearly always finds the same"
    )


@dataclass(frozen=True)
class Job:
    """A set to decode.

    Attributes:
        data: the set.
        lang: its phones.
        source: of its posteriors.
        grammar: ARPA file; None where no model of sequences is used.
        tune: whether weight and penalty are chosen on it.
        extras: what is written beside the hypotheses.
        asked: the settings that were given as options.
    """

    data: DataDir
    lang: Lang
    source: Source
    grammar: Path | None
    tune: bool
    extras: Extras
    asked: frozenset[str]

    def run(self, settings: DecodeSettings, folder: Path) -> Accounting:
        """Decodes into a folder."""
        layer = self.source.open(self.data, self.lang.phones)
        _refuse_unheeded(sorted(self.asked), ctc=layer.ctc)
        grammar = None if settings.greedy else self.grammar
        decoder = Decoder(layer, read_grammar(grammar, self.lang.phones))
        settings = _told(settings, layer, grammar, self.tune)
        slow = _exact_warning(decoder, settings, self.data, self.extras.nbest)
        if slow:
            note(f"decode: warning: {slow}")
        trials: list[Trial] = []
        stream = checked(
            self.source, layer, self.data, label=f"decode {self.data.path}"
        )
        outputs, phones = self.extras.posteriors, self.extras.phone_posteriors
        with stored(stream, folder, layer, outputs=outputs, phones=phones) as passing:
            if self.tune and not settings.greedy:
                held = dict(passing)
                settings, trials = tuned(decoder, held, self.data, self.lang, settings)
                passing = held.items()
            found = hear(
                self.data, decoder, passing, settings, layer, self.extras.nbest
            )
        if found.short:
            note(
                f"decode: warning: {counted(len(found.short), 'utterance')} shorter than a "
                "phone may "
                f"be, with one phone or none: {named(found.short)}"
            )
        if found.fewer:
            note(
                f"decode: warning: {counted(len(found.fewer), 'utterance')} with fewer than "
                f"{self.extras.nbest} sequences within the beam (a wider --beam, or more "
                f"--prefixes, finds more): {named(found.fewer)}"
            )
        durations = self.data.utt2dur or {}
        replace_outputs(folder, found, settings, trials, self.extras, durations)
        accounting = Accounting()
        accounting.keep(len(found.marks))
        return accounting


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
    beam: float | None = None,
    exact: bool = False,
    prefixes: int | None = None,
    greedy: bool = False,
    nbest: int = 0,
    formats: tuple[Format, ...] = (),
    posteriors: bool = False,
    phone_posteriors: bool = False,
    nj: int = 1,
    scheduler: str | None = None,
) -> None:
    """Decodes a set with a model: `hyp`, `ctm` with confidences, `settings.yaml`.

    Framewise models are searched by Viterbi, CTC models by a beam of prefixes, both with an
    n-gram of any order. Stored posteriors are decoded without TensorFlow.

    Args:
        model: model dir with `final.keras`; or a folder of posteriors, as `--posteriors` and
            `keraldi combine` write it.
        data: data dir with features.
        out: decode dir to make.
        lang: lang dir.
        arpa: phone n-gram; `lm.arpa` of the lang dir when there is one; `none` for none.
        settings: `settings.yaml` frozen on another set.
        tune: choose LM weight and insertion penalty on this set, by its PER.
        lm_weight: of the n-gram's log probabilities; 1 when not given.
        insertion_penalty: taken off for every phone, in nats; 0 when not given.
        acoustic_scale: of the acoustic scores; 1 when not given.
        prior_scale: of the log priors; 1 when not given.
        min_frames: network frames a phone lasts at least; 1 when not given.
        beam: Viterbi paths worse than the best by more than this, in nats, are given up; 15
            when not given.
        exact: give no path up.
        prefixes: how many a CTC search keeps; 16 when not given.
        greedy: take the best output of every frame, without n-gram and settings.
        nbest: write so many sequences an utterance with their scores, `nbest.jsonl`.
        formats: jsonl (`phones.jsonl`), textgrid (a folder of Praat's).
        posteriors: write log-posteriors too, as `posteriors.ark`, to be decoded again.
        phone_posteriors: write log-posteriors of phones, as `phone_posteriors.ark`.
        nj: processes of this machine that run the network.
        scheduler: address of a running dask scheduler, whose workers do it in their place.
    """
    require(model, data, lang, mend="run the stages before this one")
    folder = Path(out)
    source = find_source(model, Crewing(nj, scheduler), folder / ".stamps" / "marks")
    if not 0 <= nbest <= _MOST_SEQUENCES:
        raise ConfigError(f"--nbest: expected 0 to {_MOST_SEQUENCES}, got {nbest}")
    if nbest and greedy:
        raise ConfigError("--nbest: a greedy search finds one sequence; leave one out")
    check_apart(out, {"posteriors": model, "features": data, "phones": lang})
    extras = Extras(nbest, tuple(sorted(set(formats))), posteriors, phone_posteriors)
    given = {
        "lm_weight": lm_weight,
        "insertion_penalty": insertion_penalty,
        "acoustic_scale": acoustic_scale,
        "prior_scale": prior_scale,
        "min_frames": min_frames,
        "beam": beam,
        "prefixes": prefixes,
        "greedy": greedy or None,
    }
    chosen = _choose_settings(settings, given, tune, exact)
    grammar = _grammar(arpa, Path(lang))
    stamp = Stamp.of(
        folder,
        "decode",
        settings={**asdict(chosen), "tune": tune, **asdict(extras)},
        inputs=_inputs(source, Path(data), Path(lang), grammar, tune),
    )
    if stamp.matches(*(folder / name for name in (*OUTPUTS, *extras.names))):
        note(f"decode: {folder} is up to date")
        return
    asked = {name for name, value in given.items() if value is not None}
    job = Job(
        read_datadir(data),
        read_lang(lang),
        source,
        grammar,
        tune,
        extras,
        frozenset(asked | ({"exact"} if exact else set())),
    )
    stamp.clear()
    accounting = job.run(chosen, folder)
    stamp.write(*(folder / name for name in (*OUTPUTS, *extras.names)))
    note(f"decode: {folder}: {accounting.line()}")
