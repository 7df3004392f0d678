"""The command line: `keraldi STAGE …`, which imports the chosen stage only."""

import os
import re
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:  # what takes time to load is loaded where an interrupt is met
    from cyclopts import App, Token

_FRACTION = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(\.\d*)?[eE][-+]?\d+)")

# name of the command, where its function is, what it does
STAGES = (
    (
        "validate",
        "pipeline.validate:validate",
        "check a data dir, list every fault; --fix mends",
    ),
    (
        "extract",
        "pipeline.extract:extract",
        "waveforms -> features and CMVN statistics",
    ),
    ("lm", "pipeline.lm:lm", "training transcripts -> phone n-gram (ARPA)"),
    (
        "perplexity",
        "pipeline.perplexity:perplexity",
        "how well a phone n-gram foretells transcripts",
    ),
    (
        "align",
        "pipeline.align:align",
        "one label a frame: from times, flat start or a model",
    ),
    (
        "train",
        "pipeline.train:train",
        "features and alignments -> a recurrent acoustic model",
    ),
    ("decode", "pipeline.decode:decode", "features and a model -> phone sequences"),
    (
        "combine",
        "pipeline.combine:combine",
        "posteriors of several models, or votes among their hypotheses",
    ),
    (
        "transcribe",
        "pipeline.transcribe:transcribe",
        "audio of any kind and amount -> phones with times",
    ),
    (
        "score",
        "pipeline.score:score",
        "hypotheses and references -> phoneme error rates",
    ),
    (
        "compare",
        "pipeline.compare:compare",
        "is one scored system better than another: paired tests",
    ),
    (
        "report",
        "pipeline.report:report",
        "one page of a model: figures, confusions, utterances with sound",
    ),
    (
        "export",
        "pipeline.export:export",
        "a model with its front end inside: Keras, SavedModel, TFLite, ONNX",
    ),
    (
        "score-corpus",
        "pipeline.score_corpus:score_corpus",
        "transcribe audio that has references, and score it",
    ),
    (
        "cluster",
        "pipeline.cluster:cluster",
        "Slurm or SGE jobs as workers for --scheduler",
    ),
    (
        "results",
        "pipeline.results:results",
        "the table of all scored decode dirs, best first",
    ),
)
PREPARE = (
    ("mini", "pipeline.prepare:mini", "the embedded corpus, spoken by espeak"),
    ("timit", "pipeline.prepare:timit", "TIMIT (LDC93S1), any case, SPHERE or RIFF"),
    (
        "speechocean762",
        "pipeline.prepare:speechocean762",
        "non-native English (OpenSLR 101)",
    ),
    ("fsdd", "pipeline.prepare:fsdd", "Free Spoken Digit Dataset"),
)
DATA = (
    (
        "subset",
        "pipeline.data:subset",
        "some of the utterances: first, last, shortest, by list",
    ),
    ("split", "pipeline.data:split", "N parts, no speaker in two of them"),
    ("combine", "pipeline.data:combine", "several data dirs as one"),
    (
        "perturb",
        "pipeline.data:perturb",
        "copies at other speeds, as speakers of their own",
    ),
    (
        "marks",
        "pipeline.data:marks",
        "TextGrid, .PHN or CTM marks -> phones.ctm of a data dir",
    ),
)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("keraldi")
    except PackageNotFoundError:
        return "not installed"


def _as_typed(wanted: Any, tokens: Sequence["Token"]) -> Any:
    """Converts words as cyclopts does, but for whole numbers: it would round 1.9 to 2."""
    from cyclopts import convert

    if int in (wanted, *get_args(wanted)) and float not in get_args(wanted):
        for token in tokens:
            if _FRACTION.fullmatch(token.value):
                raise ValueError(f"{token.value} is not a whole number")
    return convert(wanted, tokens)


def build_app() -> "App":
    """Builds the command line; stages are named here and imported when chosen."""
    from cyclopts import App, Parameter

    app = App(
        name="keraldi",
        help="Phoneme recognisers from recurrent networks, a stage at a time.",
        version=_version,
        # `--formats textgrid jsonl`, as well as the option twice
        default_parameter=Parameter(consume_multiple=True, converter=_as_typed),
    )
    prepare = App(name="prepare", help="a raw corpus -> data dirs and a lang dir")
    data = App(
        name="data", help="subset, split, combine or perturb data dirs, or mark phones"
    )
    for group, entries in ((prepare, PREPARE), (app, STAGES), (data, DATA)):
        for name, target, summary in entries:
            group.command(target, name=name, help=summary)
    app.command(prepare)
    app.command(data)
    return app


def _dashes_last(words: Sequence[str]) -> list[str]:
    """Puts `-`, for standard input, behind a `--`: the parser takes it for an option elsewhere."""
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if word != "-"]
    dashes = ["-"] * (end - len(options))
    return [*options, "--", *dashes, *words[end + 1 :]] if dashes else list(words)


def _named(words: Sequence[str]) -> str:
    """The stage that is asked for, with its part: `data subset`."""
    groups = {"prepare": PREPARE, "data": DATA}
    parts = [name for name, *_ in groups.get(words[0], ())] if words else []
    return " ".join(words[: 2 if words[1:2] and words[1] in parts else 1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one stage.

    Args:
        arguments: the words after `keraldi`; those of the process when None.

    Returns:
        The exit status: 0 when all that was asked for is there, 2 after a mistake of the user's,
        130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(words, quickly=arguments is None)
    except KeyboardInterrupt:  # before anything is guarded
        print("keraldi: interrupted", file=sys.stderr)
        status = 130
    # An interrupt that leaves `exec` of a text, by which dataclasses are made, is noted inside
    # of Python, which ends as killed by it though it was met. The next text takes the note away.
    exec("")
    return status


# SIGTERM as Ctrl-C: what was begun is put away, and the same command goes on.
_ENDING = (signal.SIGINT, signal.SIGTERM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends a stage in order; asked once more it ends at once, which it survives as any death."""
    for other in _ENDING:
        if signal.getsignal(other) is _interrupt:
            signal.signal(other, _end)
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    from features.commands import end_commands

    end_commands()
    os.write(2, b"keraldi: interrupted again, ended at once\n")
    os._exit(130)


def _run(words: list[str], *, quickly: bool) -> int:
    """Runs one stage; `quickly` where the process is ours to change."""
    from features.errors import ConfigError
    from pipeline.stage import guarded
    from pipeline.startup import start_quickly

    # TensorFlow's own lines (no CUDA here, such instructions there) would bury ours; what goes
    # wrong comes as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if quickly:
        signal.signal(signal.SIGTERM, _interrupt)
        # A shell has what it puts into the background ignore Ctrl-C; that stays so.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, _interrupt)
        start_quickly()

    def stage() -> object:
        from cyclopts import CycloptsError

        try:
            command, bound, _ = build_app().parse_args(
                _dashes_last(words), exit_on_error=False, print_error=False
            )
        except CycloptsError as error:
            told = " ".join(str(error).split()).removesuffix(".")
            raise ConfigError(f"{told}; --help says what there is") from None
        return command(*bound.args, **bound.kwargs)

    return guarded(_named(words), stage)


if __name__ == "__main__":
    sys.exit(main())
