"""Stage train: features and labels -> a model dir with `final.keras`."""

from pathlib import Path

import numpy as np

from features.errors import ConfigError, DataError, counted
from features.files import check_apart, write_text
from features.spectral import FeatureOptions
from pipeline.alignments import read_alignments
from pipeline.config import check, load, parse_yaml, save
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.decoding.tokens import greedy_ctc, greedy_frames
from pipeline.nnet.config import TrainConfig
from pipeline.nnet.examples import Targets
from pipeline.nnet.recogniser import Recogniser
from pipeline.nnet.threads import use_cores_unless_set
from pipeline.nnet.training import Material, Training
from pipeline.scoring.counts import ErrorCounts, count_errors
from pipeline.scoring.policies import forgiven
from pipeline.stage import Stamp, note, require


def ctc_targets(data: DataDir, lang: Lang) -> Targets:
    """The phone sequence of every utterance, as 0-based ids."""
    if data.text is None:
        raise DataError(f"{data.path}/text: no such file; CTC learns from transcripts")
    return Targets(
        {u: np.array(lang.phone_ids(w)) for u, w in data.text.items()}, framewise=False
    )


def _shared_features(train: Path, dev: Path) -> FeatureOptions:
    """The feature settings of both sets, which must be the same."""
    options = load(train / "features.yaml", FeatureOptions)
    if load(dev / "features.yaml", FeatureOptions) != options:
        raise DataError(
            f"{dev}/features.yaml differs from {train}'s; extract both alike"
        )
    return options


def read_material(
    config: TrainConfig,
    lang: Lang,
    *,
    train: Path,
    dev: Path,
    alignments: Path | None,
    dev_alignments: Path | None,
) -> Material:
    """Reads data dirs and labels, and checks that they belong together.

    Raises:
        DataError: a file is missing, or sets, labels and phone tables differ.
        ConfigError: framewise training without alignments.
    """
    sets = read_datadir(train), read_datadir(dev)
    if config.objective.type == "ctc":
        if alignments or dev_alignments:
            note(
                "train: objective.type: ctc learns from transcripts, not from alignments"
            )
        targets = [ctc_targets(data, lang) for data in sets]
    elif alignments is None or dev_alignments is None:
        raise ConfigError(
            "objective.type: framewise needs labels; give --alignments and --dev-alignments"
        )
    else:
        states = config.objective.states
        folders = (alignments, dev_alignments)
        targets = [read_alignments(f, lang.phones, states=states) for f in folders]
    return Material(
        train=sets[0],
        dev=sets[1],
        train_targets=targets[0],
        dev_targets=targets[1],
        phones=lang.phones,
        features=_shared_features(train, dev),
    )


def dev_per(recogniser: Recogniser, data: DataDir, lang: Lang) -> float:
    """PER in percent of the most likely phones, without a language model; silence forgiven."""
    if data.text is None:
        raise DataError(
            f"{data.path}/text: no such file; select: per needs transcripts"
        )
    references = {
        utt: lang.fold.fold(lang.phones_of(words)) for utt, words in data.text.items()
    }
    counts = ErrorCounts()
    for utt, scores in recogniser.log_posteriors(recogniser.inputs(data)):
        if recogniser.objective == "ctc":
            tokens = greedy_ctc(scores)
        else:
            tokens = greedy_frames(scores, states=recogniser.states_per_phone)
        phones = lang.fold.fold(lang.phones.symbols_of(token.phone for token in tokens))
        sides = (
            forgiven(side, lang.scoring_silence) for side in (references[utt], phones)
        )
        counts += count_errors(*sides)
    return counts.rate


def train(
    *,
    config: str,
    data: str,
    dev: str,
    lang: str,
    out: str,
    alignments: str | None = None,
    dev_alignments: str | None = None,
    seed: int | None = None,
    epochs: int | None = None,
) -> None:
    """Trains a network; interrupted at any moment, the same command goes on.

    Args:
        config: YAML file of the network and its training.
        data: data dir to train on, with features.
        dev: data dir to choose the best epoch on.
        lang: lang dir with the phone table.
        out: model dir to make.
        alignments: alignment dir of `data`; CTC needs none.
        dev_alignments: alignment dir of `dev`.
        seed: in place of the configuration's.
        epochs: in place of the configuration's.
    """
    values = parse_yaml(config)
    overrides = {"seed": seed, "epochs": epochs}
    chosen = {name: value for name, value in overrides.items() if value is not None}
    if chosen and isinstance(values, dict):
        training = values.get("training") or {}
        # What is no mapping is left to `check`, which says so.
        values["training"] = (
            training | chosen if isinstance(training, dict) else training
        )
    settings = check(values, TrainConfig, source=config)
    require(data, dev, lang, mend="run the stages before this one")
    check_apart(out, {"features": data, "dev features": dev, "phones": lang})
    folder = Path(out)
    sources = [Path(d) / ".stamps" / "extract.json" for d in (data, dev)]
    sources += [
        Path(d) / ".stamps" / "align.json" for d in (alignments, dev_alignments) if d
    ]
    sources += [Path(lang) / "phones.txt", Path(data) / "text", Path(dev) / "text"]
    stamp = Stamp.of(folder, "train", settings={"config": values}, inputs=sources)
    if stamp.matches(folder / "final.keras"):
        note(f"train: {folder} is up to date")
        return
    table = read_lang(lang)
    material = read_material(
        settings,
        table,
        train=Path(data),
        dev=Path(dev),
        alignments=Path(alignments) if alignments else None,
        dev_alignments=Path(dev_alignments) if dev_alignments else None,
    )
    use_cores_unless_set()
    per = settings.training.select == "per"
    try:
        training = Training(
            settings,
            material,
            folder=folder,
            report=lambda line: note(f"train: {line}"),
            dev_per=(lambda r: dev_per(r, material.dev, table)) if per else None,
        )
    except ConfigError as error:  # what shows only with the data, or on this machine
        raise ConfigError(f"{config}: {error}") from None
    stamp.clear()
    save(
        folder / "config.yaml", settings
    )  # now that features and labels are known to fit
    recogniser = training.fit()
    table.phones.write(folder / "phones.txt")
    write_text(
        folder / "priors.txt", "".join(f"{p:.6f}\n" for p in recogniser.log_priors)
    )
    stamp.write(folder / "final.keras")
    note(
        f"train: {folder}/final.keras, {counted(len(material.train.utterances), 'utterance')}"
    )
