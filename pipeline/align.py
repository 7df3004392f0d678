"""Stage align: one label a frame, from known times, from nothing, or by a trained model."""

import dataclasses
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from features.errors import ConfigError, DataError, counted, named
from features.files import atomic_file, check_apart
from features.spectral import FeatureOptions
from pipeline.alignments import write_alignments
from pipeline.config import load
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.times import PhoneInterval, frame_labels, holes, read_ctm
from pipeline.datadir.transcripts import Transcripts
from pipeline.decoding.forced import align_ctc, align_transcript
from pipeline.nnet.config import TrainConfig
from pipeline.nnet.examples import Targets, network_frames
from pipeline.stage import Stamp, note, progress, require

if TYPE_CHECKING:
    from pipeline.nnet.recogniser import Recogniser

_ROUNDED = 0.02  # seconds between marks that rounding, or a frame, explains
_WATCHED = 100  # utterances whose loss is shown while a flat start trains


@dataclass(frozen=True, kw_only=True)
class FlatOptions:
    """A flat start: train on evenly spread labels, realign, repeat.

    Attributes:
        train: the small network and the epochs of one iteration.
        iterations: trainings, each followed by a realignment.
        min_frames: network frames a phone lasts at least.
    """

    __pydantic_config__ = {"extra": "forbid"}

    train: TrainConfig
    iterations: Annotated[int, Field(gt=0)] = 5
    min_frames: Annotated[int, Field(gt=0)] = 2


def spread(phones: list[int], num_frames: int) -> np.ndarray:
    """Gives every phone of a sequence an equal stretch of `num_frames` frames: [T] int32."""
    return np.array(phones, np.int32)[np.arange(num_frames) * len(phones) // num_frames]


def _all_or_error(
    utterances: list[str], align_one: Callable[[str], np.ndarray], place: str
) -> dict[str, np.ndarray]:
    """Aligns every utterance, and lists all that could not be."""
    done, faults = {}, []
    for utt in utterances:
        try:
            done[utt] = align_one(utt)
        except DataError as error:
            faults.append(f"{place}: utterance {utt!r}: {error}")
    if faults:
        raise DataError.of(faults)
    return done


def check_extracted(data: DataDir) -> None:
    """Checks that every utterance has features; DataError names those that have none."""
    absent = sorted(set(data.utterances) - set(data.utt2num_frames or {}))
    if absent:
        raise DataError(
            f"{data.path}/utt2num_frames: no features of {counted(len(absent), 'utterance')}: "
            f"{named(absent)}; run keraldi extract, or keraldi validate --fix removes them"
        )


def _tell_holes(
    marks: Mapping[str, Sequence[PhoneInterval]], place: Path, frame_shift: float
) -> None:
    """Warns of stretches without a mark, which rounding does not explain."""
    longest = max(_ROUNDED, frame_shift)
    found = {utt: gaps for utt in marks if (gaps := holes(marks[utt], longest))}
    if not found:
        return
    first, gaps = next(iter(found.items()))
    count = sum(map(len, found.values()))
    note(
        f"align: warning: {place}: {counted(count, 'hole')} of more than {1000 * longest:g} ms "
        f"in the marks of {counted(len(found), 'utterance')}, first in {first!r} from "
        f"{gaps[0][0]:.3f} to {gaps[0][1]:.3f} s: these frames take the phone before (at the "
        "start that behind); mark silence there if it is that"
    )


def from_times(
    data: DataDir, lang: Lang, features: FeatureOptions
) -> dict[str, np.ndarray]:
    """Labels from `phones.ctm`, one a frame of the features.

    Raises:
        DataError: an utterance has no times, an unknown phone, or times that do not fit.
    """
    place, frame_shift = data.path / "phones.ctm", features.frame_shift_ms / 1000.0
    intervals = read_ctm(place)
    used = {u: intervals[u] for u in data.utterances if u in intervals}
    _tell_holes(used, place, frame_shift)
    frames = data.utt2num_frames or {}

    def label(utt: str) -> np.ndarray:
        if utt not in intervals:
            raise DataError("phones.ctm has no times for it; add them or use --flat")
        names = frame_labels(
            intervals[utt],
            num_frames=frames[utt],
            frame_shift=frame_shift,
            frame_length=features.frame_length_ms / 1000.0,
        )
        return np.array(lang.phones.indices(names), np.int32)

    return _all_or_error(list(data.utterances), label, str(data.path))


def by_model(
    recogniser: "Recogniser",
    data: DataDir,
    transcripts: Transcripts,
    *,
    min_frames: int,
) -> dict[str, np.ndarray]:
    """Labels by the best path of a model through each transcript.

    Returns:
        State ids for every frame of the features (those of the network, repeated).
    """
    frames = data.utt2num_frames or {}
    scores: Iterator[tuple[str, np.ndarray]] = recogniser.log_posteriors(
        recogniser.inputs(data)
    )
    shown = progress(scores, total=len(data.utterances), label="align")

    def best_path(utt: str) -> np.ndarray:
        outputs = next(shown)[1]  # the recogniser keeps the order of data.utterances
        if recogniser.objective == "ctc":
            path = align_ctc(outputs, transcripts.phones(utt))
        else:
            path = align_transcript(
                outputs - recogniser.log_priors,
                transcripts.words[utt],
                silence=transcripts.silence,
                states_per_phone=recogniser.states_per_phone,
                min_frames=min_frames,
            )
        return np.repeat(path, recogniser.frontend.skip)[: frames[utt]]

    return _all_or_error(list(data.utterances), best_path, str(data.path))


def _first(data: DataDir, targets: Targets, count: int) -> tuple[DataDir, Targets]:
    """The first utterances of a set, whose loss is shown while training."""
    chosen = list(data.utterances)[:count]
    part = dataclasses.replace(
        data,
        utt2spk={u: data.utt2spk[u] for u in chosen},
        feats={u: (data.feats or {})[u] for u in chosen},
        utt2num_frames={u: (data.utt2num_frames or {})[u] for u in chosen},
    )
    return part, Targets({u: targets.labels[u] for u in chosen}, framewise=True)


def _report(number: int, line: str) -> None:
    note(f"align: iteration {number}: {line}")


def from_flat(
    options: FlatOptions,
    data: DataDir,
    lang: Lang,
    features: FeatureOptions,
    transcripts: Transcripts,
    folder: Path,
) -> dict[str, np.ndarray]:
    """Labels from transcripts alone: train on an even spread, realign, repeat.

    The last network stays in `folder/last`, to align other sets with.

    References:
        Senior, Heigold, Bacchiani, Liao 2014, GMM-free DNN acoustic model training.
    """
    from pipeline.nnet.training import Material, Training

    frames = data.utt2num_frames or {}
    rooms = {
        u: network_frames(frames[u], options.train.frontend.skip)
        for u in data.utterances
    }
    transcripts.check_lengths(
        rooms, min_frames=options.min_frames, source=str(data.path)
    )
    labels = {u: spread(transcripts.phones(u), frames[u]) for u in data.utterances}
    weights: list[np.ndarray] | None = None
    for number in range(1, options.iterations + 1):
        targets = Targets(labels, framewise=True)
        watched, watched_targets = _first(data, targets, _WATCHED)
        material = Material(
            data, watched, targets, watched_targets, lang.phones, features
        )
        training = Training(
            options.train,
            material,
            folder=folder / f"iteration{number}",
            report=functools.partial(_report, number),
            initial=weights,
        )
        recogniser = training.fit()
        weights = training.model.get_weights()
        new = by_model(recogniser, data, transcripts, min_frames=options.min_frames)
        moved = np.mean(np.concatenate([new[u] != labels[u] for u in new]))
        note(
            f"align: iteration {number}: {100 * moved:.1f} % of the frames changed label"
        )
        labels = new
    with atomic_file(folder / "last" / "final.keras") as temporary:
        shutil.copyfile(
            folder / f"iteration{options.iterations}" / "final.keras", temporary
        )
    return labels


def align(
    data: str,
    out: str,
    *,
    lang: str,
    flat: str | None = None,
    model: str | None = None,
    min_frames: int = 1,
) -> None:
    """Labels every frame of a set: from `phones.ctm` unless told otherwise.

    Args:
        data: data dir with features.
        out: alignment dir to make.
        lang: lang dir.
        flat: YAML file of a flat start, for transcripts without times.
        model: model dir to align with, framewise or CTC.
        min_frames: network frames a phone lasts at least, with `--model`.
    """
    if flat and model:
        raise ConfigError("--flat and --model exclude each other; give one of them")
    require(data, lang, mend="run the stages before this one")
    check_apart(out, {"features": data, "phones": lang})
    require(Path(data) / "features.yaml", mend=f"run keraldi extract {data}")
    folder, table = Path(out), read_lang(lang)
    options = load(flat, FlatOptions) if flat else None
    inputs = [Path(data) / ".stamps" / "extract.json", Path(data) / "text"]
    inputs += [
        Path(data) / "phones.ctm",
        Path(lang) / "phones.txt",
        Path(lang) / "lexicon.txt",
    ]
    inputs += [Path(model) / "final.keras"] if model else []
    settings = {
        "flat": dataclasses.asdict(options) if options else None,
        "min_frames": min_frames,
    }
    stamp = Stamp.of(folder, "align", settings=settings, inputs=inputs)
    outputs = folder / "ali.ark", folder / "ali.scp"
    if stamp.matches(*outputs):
        note(f"align: {folder} is up to date")
        return
    utterances = read_datadir(data)
    check_extracted(utterances)
    states = 1
    if options or model:
        transcripts = Transcripts.of(utterances, table)
        features = load(Path(data) / "features.yaml", FeatureOptions)
    if options:
        labels = from_flat(
            options, utterances, table, features, transcripts, folder / "flat"
        )
    elif model:
        from pipeline.nnet.recogniser import load_recogniser

        recogniser = load_recogniser(model)
        recogniser.check_data(data, table.phones)
        states = recogniser.states_per_phone
        labels = by_model(recogniser, utterances, transcripts, min_frames=min_frames)
    else:
        features = load(Path(data) / "features.yaml", FeatureOptions)
        labels = from_times(utterances, table, features)
    stamp.clear()
    write_alignments(folder, labels.items(), table.phones, states=states)
    stamp.write(*outputs)
    total = sum(map(len, labels.values()))
    count = len(utterances.utterances)
    note(
        f"align: {folder}: kept {len(labels)} of {counted(count, 'utterance')}, "
        f"{counted(total, 'frame')}"
    )
