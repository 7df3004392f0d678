"""Stage export: a model and its front end in one file, in the formats of other runtimes."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import ConfigError, DataError, counted
from features.files import check_apart, write_text
from pipeline.artefacts import (
    FILES,
    PROOF,
    Format,
    asked,
    forget,
    remove,
    size,
    sources,
    whole,
)
from pipeline.batch.options import check_folder
from pipeline.datadir.lang import read_lang
from pipeline.decoding.settings import check_grammar, read_settings
from pipeline.nnet.artefact import (
    DESCRIPTION,
    GRAMMAR,
    SETTINGS,
    Description,
)
from pipeline.parity import (
    Heard,
    Trial,
    data_trial,
    hear,
    largest_difference,
    noise_trial,
    table,
)
from pipeline.recogniser import Recogniser, Search
from pipeline.stage import Stamp, note, require

if TYPE_CHECKING:
    from pipeline.nnet.runtime import ModelDir
    from pipeline.nnet.waveform import WaveformModel

_NEEDS: dict[Format, tuple[str, ...]] = {  # modules beside TensorFlow
    "tflite": ("ai_edge_litert",),
    "int8": ("ai_edge_litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
}
_BEGUN = ".stamps/export.begun"  # what follows in the folder is of an export
_TOLERANCE = 0.02  # natural log: what float32 sums in another order may differ by
_INT8_POINTS = 0.5  # of PER that 8-bit weights may cost


def _write(
    kind: Format,
    model: "WaveformModel",
    path: Path,
    companions: dict[str, str],
    *,
    streams: bool,
) -> None:
    from pipeline.nnet import conversion  # brings TensorFlow

    match kind:
        case "keras":
            conversion.write_keras(model, path, companions)
        case "saved_model":
            conversion.write_saved_model(model, path, companions)
        case "onnx":
            conversion.write_onnx(model, path, companions)
        case "tflite" | "int8":
            int8 = kind == "int8"
            conversion.write_tflite(model, path, companions, streams=streams, int8=int8)


def _row(kind: Format, path: Path, reference: Heard, heard: Heard) -> dict[str, Any]:
    """What is known of one artefact, and whether it is good enough to keep."""
    difference = largest_difference(reference.posteriors, heard.posteriors)
    per, change = None, None
    if heard.errors is not None and reference.errors is not None:
        per = heard.errors.rate
        change = per - reference.errors.rate
    good = difference <= _TOLERANCE
    if kind == "int8":
        good = change is not None and change <= _INT8_POINTS
    return {
        "file": path.name,
        "bytes": size(path),
        "times_real_time": heard.times_real_time,
        "largest_difference": difference,
        "per": per,
        "per_difference": change,
        "kept": good,
    }


def _formats(chosen: Sequence[Format], data: str | None) -> list[Format]:
    """The formats to make, in order; int8 only where its PER can be measured.

    Raises:
        ConfigError: none is left, or one cannot be made or compared here.
    """
    wanted = [kind for kind in FILES if kind in chosen]
    if "int8" in wanted and data is None:
        wanted.remove("int8")
        note(
            "export: no int8: it is kept where PER holds, which needs --data and --lang"
        )
    if not wanted:
        raise ConfigError(f"--formats: none left to make of {', '.join(chosen)}")
    needs = {kind: _NEEDS[kind] for kind in wanted if kind in _NEEDS}
    absent = {
        module for modules in needs.values() for module in modules if not _has(module)
    }
    if absent:
        kinds = (kind for kind, modules in needs.items() if absent & set(modules))
        raise ConfigError(
            f"--formats: {' '.join(kinds)}: not installed: {' '.join(sorted(absent))}; pip "
            "install 'keraldi[export]', or leave them out"
        )
    return wanted


def _has(module: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


def _companions(
    description: str, arpa: str | None, settings: str | None
) -> dict[str, str]:
    """The files that go with every artefact."""
    companions = {DESCRIPTION: description}
    for name, path in ((GRAMMAR, arpa), (SETTINGS, settings)):
        if path is not None:
            companions[name] = Path(path).read_text(encoding="utf-8")
    return companions


def _judge(rows: list[dict[str, Any]], folder: Path) -> None:
    """Removes what is not good enough; only int8 is allowed to fail."""
    wrong = []
    for row in rows:
        if row["kept"]:
            continue
        remove(folder / row["file"])
        if row["file"] != FILES["int8"]:
            wrong.append(
                f"{folder / row['file']}: log-posteriors differ by "
                f"{row['largest_difference']:.3g} from the trained model's, more than "
                f"{_TOLERANCE}; it was removed, do report this"
            )
    if wrong:
        raise DataError.of(wrong)


def _make(
    wanted: Sequence[Format],
    trained: "ModelDir",
    folder: Path,
    companions: dict[str, str],
    trial: Trial,
    search: Search,
    reference: Heard,
) -> list[dict[str, Any]]:
    """Writes every artefact, loads it as a user would, and compares it with the reference."""
    from pipeline.nnet.waveform import WaveformModel  # brings TensorFlow

    description = trained.description
    model = WaveformModel.around(trained.network, stats=description.stats)
    rows = []
    for kind in wanted:
        path = folder / FILES[kind]
        try:
            _write(kind, model, path, companions, streams=description.streams)
            heard = hear(trial, Recogniser.load(path).runtime, search)
        except BaseException:  # none stays that was not compared
            remove(path)
            raise
        rows.append(_row(kind, path, reference, heard))
    return rows


def export(
    model: str,
    out: str,
    *,
    formats: tuple[Format, ...] = ("keras", "saved_model", "tflite", "int8", "onnx"),
    data: str | None = None,
    lang: str | None = None,
    arpa: str | None = None,
    settings: str | None = None,
    cmvn: str | None = None,
    allow_pipes: bool = False,
) -> None:
    """Exports a model: waveform in, log-posteriors out, with `parity.json` as its proof.

    Args:
        model: model dir with `final.keras`.
        out: folder to make: `model.keras`, `saved_model`, `model.tflite`, `model.onnx`, and
            `model.int8.tflite` where its PER is within half a point.
        formats: which of them.
        data: data dir with references to prove parity on, and to measure PER; noise when
            not given.
        lang: lang dir for the references.
        arpa: phone n-gram that goes with the model, for those who decode with it.
        settings: `settings.yaml` of a decode dir that goes with the model.
        cmvn: `cmvn.scp` whose statistics are fixed in the model. Without it, statistics by
            speaker become statistics of each utterance.
        allow_pipes: whether commands in wav.scp may be run.
    """
    if (data is None) != (lang is None):
        raise ConfigError("--data and --lang go together: PER needs both")
    given = [path for path in (data, lang, arpa, settings, cmvn) if path is not None]
    require(model, *given, mend="give an existing path")
    check_apart(out, {"weights": model})
    check_folder(
        out,
        begun=(_BEGUN, ".stamps/export.json"),
        makes=(*FILES.values(), PROOF),
        what="an export",
    )
    if settings is not None:
        check_grammar(read_settings(settings), settings, given=arpa is not None)
    wanted, folder = _formats(formats, data), Path(out)
    inputs = sources(model, data, lang, arpa, settings)
    stamp = Stamp.of(
        folder, "export", settings=asked(model, wanted, data, cmvn), inputs=inputs
    )
    if stamp.matches(folder / PROOF) and whole(folder):
        note(f"export: {folder} is up to date")
        return
    from pipeline.nnet.runtime import ModelDir  # brings TensorFlow

    trained = ModelDir(model, cmvn=cmvn)
    description = trained.description
    rate_hz = description.recipe.features.rate_hz
    search = Search.of(
        description, Path(arpa) if arpa else None, Path(settings) if settings else None
    )
    trial = noise_trial(rate_hz)
    if data and lang:
        trial = data_trial(data, read_lang(lang), rate_hz, allow_pipes=allow_pipes)
    reference = hear(trial, trained, search)
    write_text(folder / _BEGUN, "")  # first: without it the folder would be another's
    stamp.clear()
    forget(folder)
    companions = _companions(description.to_json(), arpa, settings)
    rows = _make(wanted, trained, folder, companions, trial, search, reference)
    _report(folder, trial, reference, rows, description)
    _judge(rows, folder)
    stamp.write(folder / PROOF)


def _report(
    folder: Path,
    trial: Trial,
    reference: Heard,
    rows: list[dict[str, Any]],
    description: Description,
) -> None:
    """Writes `parity.json` and says the same in a table."""
    cmvn, trained = description.cmvn, description.recipe.frontend.cmvn
    if (trained, cmvn) == ("speaker", "utterance"):
        note(
            "export: trained with CMVN by speaker, exported with CMVN by utterance; --cmvn "
            "fixes statistics instead"
        )
    errors = reference.errors
    record = {
        "compared_on": trial.name,
        "utterances": len(trial.waveforms),
        "cmvn": cmvn,
        "cmvn_of_training": trained,
        "policy": trial.policy,
        "trained": {
            "per": None if errors is None else errors.rate,
            "counts": None if errors is None else errors.line(),
            "times_real_time": reference.times_real_time,
        },
        "artefacts": rows,
    }
    write_text(folder / PROOF, json.dumps(record, indent=1) + "\n")
    said = "" if errors is None else f", {errors.line()} ({trial.policy})"
    note(
        f"export: features and trained model on {trial.name}: "
        f"{reference.times_real_time:.0f} times real time{said}; CMVN: {cmvn}"
    )
    for line in table(rows):
        note(f"  {line}")
    kept = sum(row["kept"] for row in rows)
    note(f"export: {folder}: kept {kept} of {counted(len(rows), 'artefact')}")
