"""The two sides of a score: references and hypotheses, read, joined and folded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from features.errors import DataError, counted, named
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import Lang
from pipeline.datadir.lexicon import check_known
from pipeline.datadir.tables import read_table
from pipeline.scoring.table import Texts, check_same_utterances, one_sided
from pipeline.scoring.transcripts import Format, Transcripts, read_transcripts

_COMMON = 0.1  # of the tokens, at least, in any two texts of one alphabet


@dataclass(frozen=True)
class Sides:
    """What is compared.

    Attributes:
        references, hypotheses: phones by utterance, folded where there is a lang dir.
        utt2spk: speaker of every utterance.
    """

    references: Texts
    hypotheses: Texts
    utt2spk: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Joining:
    """How two sides are read and joined.

    Attributes:
        form: format of text files.
        missing: what is done with utterances that have no hypothesis.
        extra: what is done with hypotheses that have no reference.
    """

    form: Format = "auto"
    missing: Literal["error", "delete", "ignore"] = "error"
    extra: Literal["error", "ignore"] = "error"


def _join(
    text: Transcripts, hypotheses: Transcripts, joining: Joining, hyp: Path
) -> tuple[str, ...]:
    """Gives both sides the same utterances, in place; says what was done to which."""
    missing, extra = one_sided(text, hypotheses)
    done: list[tuple[list[str], tuple[str, ...], str]] = []
    if joining.missing == "delete":
        hypotheses.update(dict.fromkeys(missing, ()))
        done.append(
            (missing, ("utterance",), "without a hypothesis counted as deleted")
        )
    elif joining.missing == "ignore":
        for utt in missing:
            del text[utt]
        done.append((missing, ("utterance",), "without a hypothesis left out"))
    if joining.extra == "ignore":
        for utt in extra:
            del hypotheses[utt]
        done.append(
            (extra, ("hypothesis", "hypotheses"), "without a reference left out")
        )
    check_same_utterances(text, hypotheses, source=str(hyp))
    return tuple(
        f"{counted(len(utts), *noun)} {what}: {' '.join(utts)}"
        for utts, noun, what in done
        if utts
    )


def _empty(hypotheses: Transcripts) -> tuple[str, ...]:
    """Names the hypotheses without a phone: every phone of their references is deleted."""
    utts = [utt for utt, phones in hypotheses.items() if not phones]
    if not utts:
        return ()
    return (f"{counted(len(utts), 'hypothesis', 'hypotheses')} empty: {named(utts)}",)


def _strange(text: Transcripts, hypotheses: Transcripts) -> tuple[str, ...]:
    """A warning where the sides are of different alphabets, such as words and phones."""
    heard = {symbol for line in hypotheses.values() for symbol in line}
    said = [symbol for line in text.values() for symbol in line]
    common = sum(symbol in heard for symbol in said)
    if not heard or common >= _COMMON * len(said):
        return ()
    return (
        f"warning: {common} of {counted(len(said), 'reference token')} are anywhere in the "
        "hypotheses; if one side is words and the other phones, give --lang",
    )


def _read_references(
    source: Path, speakers: str | None, form: Format
) -> tuple[Path, dict[str, tuple[str, ...]], dict[str, str]]:
    """The path and lines of the references, and their speakers."""
    if source.is_dir():
        data = read_datadir(source)
        if data.text is None:
            raise DataError(f"{source}/text: no such file; scoring needs references")
        return source / "text", data.text, data.utt2spk
    text = read_transcripts(source, form=form)
    table = read_table(speakers) if speakers else dict.fromkeys(text, "all")
    return source, text, table


def _folded(texts: Texts, lang: Lang, source: Path) -> dict[str, tuple[str, ...]]:
    """Folds hypotheses; every phone without an entry is named with its utterance."""
    used = {phone for line in texts.values() for phone in line}
    known = {phone: phone in lang.fold.table for phone in used}
    mend = "decode with this lang dir, or add the phone to its fold.map"
    check_known(texts, known, source=str(source), mend=mend)
    return {utt: lang.fold.fold(line) for utt, line in texts.items()}


def read_sides(
    source: Path,
    hyp: Path,
    lang: Lang | None,
    speakers: str | None,
    joining: Joining = Joining(),
) -> Sides:
    """Reads and folds both sides.

    Raises:
        DataError: a file is missing or wrong, the sides have different utterances, or a
            phone or word is unknown.
    """
    path, text, utt2spk = _read_references(source, speakers, joining.form)
    # A decode dir's `hyp` is Kaldi text, whatever its phones look like.
    form: Format = "text" if hyp.name == "hyp" else joining.form
    hypotheses = read_transcripts(hyp, form=form)
    notes = _strange(text, hypotheses) if lang is None else ()
    notes += _empty(hypotheses) + _join(text, hypotheses, joining, hyp)
    if nobody := sorted(set(text) - set(utt2spk)):
        raise DataError(
            f"{speakers or source / 'utt2spk'}: no speaker of {named(nobody)}; add them"
        )
    if lang is not None:
        lang.check_oov(text, source=str(path))
        text = {u: lang.fold.fold(lang.phones_of(line)) for u, line in text.items()}
        hypotheses = _folded(hypotheses, lang, hyp)
    return Sides(text, hypotheses, utt2spk, notes)
