"""Stage score-corpus: audio with references, and a model -> phones and their error rates."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes

from features.errors import DataError, counted, named
from features.files import write_text
from pipeline.batch.execution import find_items, run_plan
from pipeline.batch.items import Item
from pipeline.batch.options import RecognitionOptions, make_plan, model_recipe
from pipeline.batch.outputs import Outputs
from pipeline.batch.run import Order
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.tables import read_table, write_table
from pipeline.score import score
from pipeline.scoring.alignment import Alignment
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.sides import Sides, read_sides
from pipeline.scoring.table import score_texts
from pipeline.stage import note, require


def _references(items: Sequence[Item], text: str | None) -> dict[str, tuple[str, ...]]:
    """Words or phones of every item that has any.

    Raises:
        DataError: no item has.
    """
    if text is not None:
        known = {key: tuple(line.split()) for key, line in read_table(text).items()}
        found = {item.id: known[item.id] for item in items if item.id in known}
        others = [key for key in known if key not in found]
        if found and others:
            note(
                f"score-corpus: {text}: {counted(len(others), 'reference')} of no recording here "
                f"({named(others, 5)}); left out"
            )
    else:
        found = {item.id: item.text for item in items if item.text is not None}
    if not found:
        place = text or "no data dir with text"
        raise DataError(
            f"{place}: no reference of any recording; give data dirs, or --text FILE with "
            f"ids as {items[0].id!r}"
        )
    return found


def _check_words(
    references: Mapping[str, Sequence[str]], lang: str, files: Sequence[str]
) -> None:
    """Checks before the work that the lang dir knows every word, or phone, of references.

    Args:
        references: by id.
        lang: the lang dir.
        files: that they came from; each is named for those that it holds.

    Raises:
        DataError: lists what is unknown, with counts.
    """
    tables = read_lang(lang)
    left = dict(references)
    for path in files:
        held = {key: left.pop(key) for key in read_table(path) if key in left}
        tables.check_oov(held, source=path)
    tables.check_oov(left, source="text of a data dir")


def _check_phones(references: Mapping[str, Sequence[str]], model: str) -> None:
    """Checks before the work that references without a lang dir are phones of the model.

    Raises:
        DataError: more than half of the tokens are none: words, or another phone set.
    """
    known = set(model_recipe(model).phones)
    tokens = [token for phones in references.values() for token in phones]
    strange = [token for token in tokens if token not in known]
    if 2 * len(strange) >= len(tokens):
        shown = named(sorted(set(strange)), 5) if strange else "none at all"
        raise DataError(
            f"references: {len(strange)} of {counted(len(tokens), 'token')} no phones of the "
            f"model ({shown}); give --lang, whose lexicon turns words into phones"
        )
    if strange:
        note(
            f"score-corpus: {counted(len(strange), 'token')} of references no phones of the "
            f"model ({named(sorted(set(strange)), 5)}): all of them errors"
        )


def _write_sides(
    folder: Path, items: Sequence[Item], references: Mapping[str, Sequence[str]]
) -> tuple[Path, Path, Path]:
    """Puts what can be scored into files: references, hypotheses, speakers."""
    hypotheses = read_table(folder / "hyp")
    both = [i for i in items if i.id in hypotheses and i.id in references]
    paths = tuple(folder / "scored" / name for name in ("text", "hyp", "utt2spk"))
    write_table(paths[0], {i.id: " ".join(references[i.id]) for i in both})
    write_table(paths[1], {i.id: hypotheses[i.id] for i in both})
    write_table(paths[2], {i.id: i.speaker or i.id for i in both})
    settings = (folder / "settings.yaml").read_text(encoding="utf-8")
    write_text(folder / "scored" / "settings.yaml", settings)
    return paths[0], paths[1], paths[2]


def one_word(folder: str) -> str:
    """The name of a folder as one column of a table, another one for every folder.

    Spaces, marks that end a line, bytes that are no UTF-8, and the percent sign become %XX;
    all else stays, so that it can be read and looked for.

    Example:
        >>> one_word("/data/day 1")
        '/data/day%201'
    """
    return "".join(
        (
            mark
            if mark.isprintable() and mark not in " %"
            else quote_from_bytes(os.fsencode(mark))
        )
        for mark in folder
    )


def folder_table(
    sides: Sides, lang: Lang | None, folders: Mapping[str, str], how: Alignment
) -> str:
    """Counts and rates of every folder under every policy, one line each."""
    silence = frozenset() if lang is None else lang.scoring_silence
    rows = ["# folder policy tokens hit sub del ins %PER"]
    counts = {
        policy: score_texts(
            sides.references,
            sides.hypotheses,
            policy=policy,
            silence=silence,
            utt2spk=folders,
            alignment=how,
        ).speakers
        for policy in POLICIES
    }
    for folder in sorted(set(folders.values())):
        for policy, by_folder in counts.items():
            c = by_folder[folder]
            numbers = (c.tokens, c.hits, c.substitutions, c.deletions, c.insertions)
            rows.append(" ".join([folder, policy, *map(str, numbers), c.percent]))
    return "".join(f"{row}\n" for row in rows)


def _tell_lost(folder: Path, wanted: Sequence[str], done: Mapping[str, str]) -> None:
    """Says beside the rates which references they leave out, their recordings having failed."""
    lost = [name for name in wanted if name not in done]
    if not lost:
        return
    line = (
        f"not scored: {len(lost)} of {counted(len(wanted), 'reference')}, whose recordings "
        f"failed ({named(lost, 5)})"
    )
    rates = folder / "scoring" / "per"
    write_text(rates, f"{rates.read_text(encoding='utf-8')}{line}\n")
    note(f"score-corpus: {line}")


def _score(
    folder: Path,
    items: Sequence[Item],
    references: Mapping[str, Sequence[str]],
    lang: str | None,
    alignment: Alignment,
) -> int:
    """Scores what is done and has a reference; how many that are done have none."""
    text, hyp, utt2spk = _write_sides(folder, items, references)
    score(
        str(text),
        str(hyp),
        lang=lang,
        utt2spk=str(utt2spk),
        alignment=alignment,
        out=str(folder / "scoring"),
    )
    phones = read_lang(lang) if lang else None
    sides = read_sides(text, hyp, phones, str(utt2spk))
    folders = {i.id: one_word(i.folder) for i in items if i.id in sides.references}
    table = folder_table(sides, phones, folders, alignment)
    write_text(folder / "scoring" / "per_folder", table)
    done = read_table(folder / "hyp")
    _tell_lost(folder, [i.id for i in items if i.id in references], done)
    absent = sorted(set(done) - set(references))
    write_text(folder / "unscored", "".join(f"{name}\n" for name in absent))
    if absent:
        shown = named(absent, 5)
        note(
            f"score-corpus: no reference of {counted(len(absent), 'recording')} ({shown}): "
            f"{folder / 'unscored'}"
        )
    return len(absent)


def score_corpus(
    *paths: str,
    options: RecognitionOptions,
    out: str,
    lang: str | None = None,
    text: str | None = None,
    alignment: Alignment = "jiwer",
) -> int:
    """Transcribes audio and scores it: error rates by file, speaker and folder.

    As `transcribe`; then `scoring` holds `per`, `per_utt`, `per_spk`, `per_folder` and
    `confusion`. What failed, or has no reference, is left out of the rates and named.

    Args:
        paths: data dirs with `text`; with --text any audio that transcribe takes.
        options: how audio is recognised.
        out: folder for the results.
        lang: lang dir: turns words into phones, folds them, says which are silence. Without
            it references are phones and are counted as they are.
        text: references by id, Kaldi's text, in place of those of data dirs.
        alignment: jiwer counts the fewest errors; sclite aligns as NIST's tool does.

    Returns:
        0 when every recording is done and scored, 1 when not.
    """
    plan = make_plan(options, out)
    require(*(p for p in (lang, text) if p), mend="give an existing path")
    folder = Path(out)
    order = Order(
        "score-corpus",
        folder,
        Outputs(folder, ("text", "ctm", "jsonl"), "stream"),
        posteriors=options.posteriors,
        max_failures=options.max_failures,
        retry_failed=options.retry_failed,
    )
    items = find_items("score-corpus", paths, out=out)
    references = _references(items, text)
    if lang is not None:
        tables = (os.path.join(path, "text") for path in paths)
        files = [text] if text else [path for path in tables if os.path.isfile(path)]
        _check_words(references, lang, files)
    else:
        _check_phones(references, options.model)
    totals = run_plan(order, items, plan, options.crewing, source=" ".join(paths))
    if not references.keys() & read_table(folder / "hyp").keys():
        order.outputs.forget_scores()
        note(
            f"score-corpus: {folder}: no recording with a reference is done, so there are no "
            "rates"
        )
        return 1
    unscored = _score(folder, items, references, lang, alignment)
    return 1 if totals.failed or totals.pending or unscored else 0
