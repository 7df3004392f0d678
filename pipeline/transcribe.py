"""Stage transcribe: audio of any kind and amount, and a model -> phones with times."""

from pathlib import Path
from typing import get_args

from features.errors import ConfigError
from pipeline.batch.execution import find_items, run_plan
from pipeline.batch.options import RecognitionOptions, make_plan
from pipeline.batch.outputs import Format, Layout, Outputs
from pipeline.batch.run import Order
from pipeline.batch.words import check_transcripts
from pipeline.listening import check_streaming, listen

FORMATS: tuple[Format, ...] = ("text", "ctm", "jsonl")


def transcribe(
    *paths: str,
    options: RecognitionOptions,
    out: str | None = None,
    stream: bool = False,
    rate: int | None = None,
    formats: tuple[Format, ...] = FORMATS,
    layout: Layout = "stream",
    words: str | None = None,
) -> int:
    """Transcribes audio into phones with times and confidences.

    Bad audio stops nothing: it is listed in `failed.jsonl`, and the exit status is 1. The
    same command after an interruption does what is left.

    Args:
        paths: audio files, folders, data dirs, wav.scp files, lists or globs of paths, `-`
            for a list on standard input.
        options: how audio is recognised.
        out: folder for the results; needed without --stream.
        stream: read raw audio, 16-bit little-endian mono, from standard input, and print start,
            end, phone and confidence as soon as they are certain. For unidirectional models.
        rate: of that audio, in Hz.
        formats: text (Kaldi's, `hyp`), ctm, jsonl, textgrid.
        layout: one file for all recordings, or a file for each.
        words: lang dir with a lexicon: the words of transcripts are aligned, `words.ctm`.

    Returns:
        0 when every recording is done, 1 when some failed.
    """
    if stream:
        others = {
            "paths": paths,
            "--out": out,
            "--words": words,
            "--posteriors": options.posteriors,
            "--nj": options.nj != 1,
            "--scheduler": options.scheduler,
            "--formats": formats != FORMATS,
            "--layout": layout != "stream",
            "--allow-pipes": options.allow_pipes,
            "--max-failures": options.max_failures is not None,
            "--retry-failed": options.retry_failed,
        }
        rate_hz = check_streaming(options.model, rate, others)
        return listen(
            options.model, rate_hz, options.arpa, options.settings, options.cmvn
        )
    if out is None or rate is not None:
        raise ConfigError(
            "--out: expected a folder for the results, got none"
            if out is None
            else "--rate is for --stream: files say theirs; leave it out"
        )
    if not formats:
        raise ConfigError(
            f"--formats: expected {', '.join(get_args(Format))}, or some of them, got none"
        )
    plan = make_plan(options, out, words=words)
    folder = Path(out)
    order = Order(
        "transcribe",
        folder,
        Outputs(folder, formats, layout, words=words is not None),
        posteriors=options.posteriors,
        max_failures=options.max_failures,
        retry_failed=options.retry_failed,
    )
    items = find_items("transcribe", paths, out=out)
    if words is not None:
        check_transcripts(items, words)
    totals = run_plan(order, items, plan, options.crewing, source=" ".join(paths))
    return 1 if totals.failed or totals.pending else 0
