"""What transcribe and score-corpus are asked alike, checked, as a plan for any process."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cyclopts import Parameter

from features.errors import ConfigError, DataError
from features.files import check_apart
from pipeline.batch.crew import Crewing
from pipeline.batch.exported import is_exported
from pipeline.batch.journal import WORK
from pipeline.batch.outputs import RESULTS
from pipeline.batch.plan import Plan, model_file
from pipeline.datadir.lang import read_lang
from pipeline.decoding.settings import chosen_settings
from pipeline.nnet.artefact import (
    GRAMMAR,
    SETTINGS,
    parse_description,
    read_companions,
    read_stats,
)
from pipeline.nnet.recipe import Recipe, stored_network
from pipeline.stage import require


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecognitionOptions:
    """How audio is recognised, by whom, and what happens to what fails.

    Attributes:
        model: model dir with `final.keras`; or a `.tflite` file of `keraldi export`, which is run
            without TensorFlow and carries its own n-gram and settings.
        arpa: phone n-gram; phones are equally likely when not given.
        settings: `settings.yaml` as decode writes it; all 1 when not given.
        posteriors: write log-posteriors too, as `posteriors.ark`.
        cmvn: `cmvn.scp` whose statistics are used for all audio, in place of those of speakers
            or recordings.
        nj: processes of this machine.
        scheduler: address of a running dask scheduler, whose workers do the work; they must
            see the same files under the same names.
        threads: batches under way at once in a process; 0 shares out this machine's
            processors, and means 1 with a scheduler.
        allow_pipes: whether commands in wav.scp may be run; one that prints nothing for five
            minutes is ended.
        max_failures: stop when more recordings than that have failed.
        retry_failed: try again what failed before, though its file is as it was.
    """

    model: str
    arpa: str | None = None
    settings: str | None = None
    posteriors: bool = False
    cmvn: str | None = None
    nj: int = 1
    scheduler: str | None = None
    threads: int = 0
    allow_pipes: bool = False
    max_failures: int | None = None
    retry_failed: bool = False

    @property
    def crewing(self) -> Crewing:
        """Who does the work."""
        return Crewing(self.nj, self.scheduler)


# What results would be mixed with, in a folder of another stage.
_OF_OTHERS = ("final.keras", "phones.txt", "wav.scp", "utt2spk")


def processors(crewing: Crewing) -> int:
    """Processors for each process: all of this machine's shared out, one of another's."""
    if crewing.scheduler is not None:
        return 1
    return max(1, len(os.sched_getaffinity(0)) // crewing.nj)


def check_model(model: str) -> None:
    """Checks that a model is one that commands run: a trained one, or an exported TFLite file.

    Raises:
        DataError: it is not there, or in another form.
    """
    path, file = Path(model), model_file(model)
    exported = path.suffix in (".keras", ".onnx") or (path / "saved_model.pb").exists()
    place = path.parent if exported else path
    known = [place] if (place / "final.keras").exists() else []
    known += [found for found in (place / "model.tflite",) if found.exists()]
    if path.exists() and not file.exists() and (exported or known):
        mend = f"give {known[0]}" if known else "export it with --formats tflite"
        raise DataError(
            f"{model}: expected a model dir with final.keras, or a .tflite file (other exported "
            f"forms are for Recogniser.load); {mend}"
        )
    require(file, mend="run keraldi train, or give its folder")


def model_recipe(model: str) -> Recipe:
    """What a model knows, read without TensorFlow."""
    path = model_file(model)
    if is_exported(model):
        return parse_description(read_companions(path), model).recipe
    return stored_network(path)[0]


def given_stats(model: str, cmvn: str | None) -> list[list[float]] | None:
    """The statistics of a `cmvn.scp` added up, for a model that wants any.

    Raises:
        ConfigError: the model was trained without CMVN.
    """
    if cmvn is None:
        return None
    if is_exported(model):
        kind = parse_description(read_companions(Path(model)), model).cmvn
        raise ConfigError(
            f"--cmvn: {model} was exported with CMVN {kind}, which nothing changes later; leave "
            "it out, or export again with --cmvn"
        )
    recipe = model_recipe(model)
    if recipe.frontend.cmvn == "none":
        raise ConfigError(f"--cmvn: {model} was trained without CMVN; leave it out")
    return read_stats(cmvn, recipe, model=model)


def check_folder(
    out: str, *, begun: Iterable[str], makes: Iterable[str], what: str
) -> None:
    """Checks that a folder holds nothing that other stages, or people, put there.

    Args:
        out: the folder.
        begun: of what lies in it once the stage began there, any is enough.
        makes: names of files and folders that the stage makes, and would replace.
        what: it is called.

    Raises:
        ConfigError: it does, or has no name.
    """
    if not out.strip():
        raise ConfigError("--out: expected a folder, got an empty name")
    folder = Path(out)
    names = dict.fromkeys((*_OF_OTHERS, *makes))
    held = [name for name in names if os.path.lexists(folder / name)]
    if held and not any((folder / name).exists() for name in begun):
        raise ConfigError(
            f"{out}: holds {', '.join(held)}, not of {what} that began here; give another "
            "folder, or remove them"
        )


def make_plan(
    options: RecognitionOptions,
    out: str,
    *,
    words: str | None = None,
) -> Plan:
    """Checks what was asked for before any work begins.

    Raises:
        ConfigError: a setting is wrong, or results would go where the model or lexicon is.
        DataError: the model or the n-gram is not there.
    """
    model = options.model
    check_model(model)
    check_apart(out, {"weights": model} | ({"words": words} if words else {}))
    check_folder(out, begun=(WORK,), makes=RESULTS, what="a transcription")
    if options.arpa is not None:
        require(options.arpa, mend="run keraldi lm")
    if words is not None:
        read_lang(words)
    if options.threads < 0:
        raise ConfigError(
            f"--threads: expected at least 1, or 0 for all, got {options.threads}"
        )
    if options.max_failures is not None and options.max_failures < 0:
        raise ConfigError(
            f"--max-failures: expected 0 or more, got {options.max_failures}"
        )
    carried = read_companions(Path(model)) if is_exported(model) else {}
    chosen = chosen_settings(
        options.settings,
        carried.get(SETTINGS),
        source=f"{model}:{SETTINGS}",
        grammar=options.arpa is not None or GRAMMAR in carried,
    )
    parts = str(Path(out) / WORK / "posteriors") if options.posteriors else None
    return Plan(
        model,
        options.arpa,
        asdict(chosen),
        parts,
        words,
        given_stats(model, options.cmvn),
        options.allow_pipes,
        options.threads or processors(options.crewing),
        carried.get(GRAMMAR) if options.arpa is None else None,
    )
