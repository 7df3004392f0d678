"""Stage score: hypotheses and references -> phoneme error rates."""

from dataclasses import dataclass
from pathlib import Path

from features.errors import ConfigError, DataError
from pipeline.config import load
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.lexicon import check_known
from pipeline.datadir.tables import read_table
from pipeline.decoding.settings import DecodeSettings
from pipeline.scoring.alignment import Alignment
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.report import Protocol, describe_fold, write_report
from pipeline.scoring.table import (
    Texts,
    check_same_utterances,
    headline_policy,
    score_texts,
)
from pipeline.stage import Stamp, note, require

OUTPUTS = ("per_utt", "per_spk", "confusion", "per")


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


def _read_text(path: Path) -> dict[str, tuple[str, ...]]:
    return {utt: tuple(line.split()) for utt, line in read_table(path).items()}


def _read_references(
    source: Path, speakers: str | None
) -> tuple[Path, dict[str, tuple[str, ...]], dict[str, str]]:
    """The path and lines of the references, and their speakers."""
    if source.is_dir():
        data = read_datadir(source)
        if data.text is None:
            raise DataError(f"{source}/text: no such file; scoring needs references")
        return source / "text", data.text, data.utt2spk
    text = _read_text(source)
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
    source: Path, hyp: Path, lang: Lang | None, speakers: str | None
) -> Sides:
    """Reads and folds both sides.

    Raises:
        DataError: a file is missing or wrong, the sides have different utterances, or a
            phone or word is unknown.
    """
    path, text, utt2spk = _read_references(source, speakers)
    hypotheses: dict[str, tuple[str, ...]] = _read_text(hyp)
    check_same_utterances(text, hypotheses, source=str(hyp))
    if nobody := sorted(set(text) - set(utt2spk)):
        raise DataError(
            f"{speakers or source / 'utt2spk'}: no speaker of {', '.join(nobody[:10])}; add them"
        )
    if lang is not None:
        lang.check_oov(text, source=str(path))
        text = {u: lang.fold.fold(lang.phones_of(line)) for u, line in text.items()}
        hypotheses = _folded(hypotheses, lang, hyp)
    return Sides(text, hypotheses, utt2spk)


def _protocol(sides: Sides, lang: Lang | None, hyp: Path, how: Alignment) -> Protocol:
    """What is said beside the rates; on decoding, where `decode` left its settings."""
    silence = frozenset() if lang is None else lang.scoring_silence
    headline = headline_policy(sides.references, silence)
    why = "the references hold silence" if silence else "no phone is known as silence"
    if headline != "strict":
        why = "the references hold no silence"
    fold = describe_fold(lang.fold) if lang is not None else "none, phones as they are"
    path = hyp.parent / "settings.yaml"
    if hyp.name != "hyp" or not path.exists():
        return Protocol(headline, why, fold, how, "unknown")
    used = load(path, DecodeSettings)
    return Protocol(headline, why, fold, how, used.describe(), used.tuned_on_itself)


def score(
    data: str,
    decoded: str,
    *,
    lang: str | None = None,
    utt2spk: str | None = None,
    alignment: Alignment = "jiwer",
    out: str | None = None,
) -> None:
    """Scores hypotheses against references, joined by utterance.

    Args:
        data: data dir with the references in `text`, or a text file of references.
        decoded: decode dir with `hyp`, or a text file of hypotheses.
        lang: lang dir: turns words into phones, folds them, says which are silence. Without
            it, references are phones and are counted as they are.
        utt2spk: speakers of a text file's utterances, for the interval.
        alignment: jiwer counts the fewest errors; sclite aligns with NIST sclite's weights,
            for counts equal to that tool's.
        out: folder for the tables; `scoring` beside the hypotheses when not given.
    """
    require(data, decoded, *([lang] if lang else []), mend="give an existing path")
    source, place = Path(data), Path(decoded)
    if source.is_dir() and utt2spk is not None:
        raise ConfigError("--utt2spk goes with a text file; a data dir has its own")
    hyp = place / "hyp" if place.is_dir() else place
    require(hyp, mend="run keraldi decode")
    folder = Path(out) if out else hyp.parent / "scoring"
    tables = ("phones.txt", "fold.map", "lexicon.txt", "silence.txt")
    inputs = [hyp, hyp.parent / "settings.yaml"]
    inputs += [source / "text", source / "utt2spk"] if source.is_dir() else [source]
    inputs += [Path(utt2spk)] if utt2spk else []
    inputs += [Path(lang) / name for name in tables] if lang else []
    stamp = Stamp.of(folder, "score", settings={"alignment": alignment}, inputs=inputs)
    if stamp.matches(*(folder / name for name in OUTPUTS)):
        note(f"score: {folder} is up to date")
        note((folder / "per").read_text(encoding="utf-8").splitlines()[0])
        return
    # A rate of other hypotheses must not outlive a run that fails.
    (folder / "per").unlink(missing_ok=True)
    phones = read_lang(lang) if lang else None
    sides = read_sides(source, hyp, phones, utt2spk)
    silence = frozenset() if phones is None else phones.scoring_silence
    scores = {
        policy: score_texts(
            sides.references,
            sides.hypotheses,
            policy=policy,
            silence=silence,
            utt2spk=sides.utt2spk,
            alignment=alignment,
        )
        for policy in POLICIES
    }
    lines = write_report(folder, scores, _protocol(sides, phones, hyp, alignment))
    stamp.write()
    for line in [*lines[1:], lines[0]]:
        note(line)
