"""Stage score: hypotheses and references -> phoneme error rates."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from features.errors import ConfigError, counted, named
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.lexicon import check_known
from pipeline.datadir.times import PhoneInterval, read_ctm
from pipeline.decoding.settings import read_settings
from pipeline.scoring.alignment import Alignment
from pipeline.scoring.boundaries import compare_times
from pipeline.scoring.breakdown import phones_in, read_traits
from pipeline.scoring.calibration import Calibration, calibrate
from pipeline.scoring.classes import OTHER, class_table
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.record import Extras, write_tables
from pipeline.scoring.sides import Joining, Sides, read_sides
from pipeline.scoring.summary import (
    Protocol,
    describe_fold,
    per_lines,
    write_report,
)
from pipeline.scoring.table import (
    Score,
    headline_policy,
    score_texts,
)
from pipeline.scoring.transcripts import Format
from pipeline.stage import Stamp, note, require

OUTPUTS = ("per_utt", "per_spk", "confusion", "aligned", "scores.json", "per")
_OPTIONAL = ("per_sex", "per_dialect", "per_age", "times", "calibration")
_TRAIT_FILES = tuple(
    f"{key}2{name}" for key in ("utt", "spk") for name in ("gender", "dialect", "age")
)


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
    used = read_settings(path)
    return Protocol(headline, why, fold, how, used.describe(), used.tuned_on_itself)


def _folded_marks(path: Path, lang: Lang | None) -> dict[str, list[PhoneInterval]]:
    """The intervals of a CTM with folded phones; deleted ones are left out."""
    marks = read_ctm(path)
    if lang is None:
        return marks
    table = lang.fold.table
    known = {m.phone: m.phone in table for row in marks.values() for m in row}
    texts = {utt: [m.phone for m in row] for utt, row in marks.items()}
    check_known(texts, known, source=str(path), mend="add the phone to fold.map")
    return {
        utt: [replace(m, phone=p) for m in row if (p := table[m.phone]) is not None]
        for utt, row in marks.items()
    }


def _calibration(
    scored: Score, marks: dict[str, list[PhoneInterval]], path: Path
) -> tuple[Calibration | None, list[str]]:
    """Confidences against correctness, and what could not be used."""
    sure: list[float] = []
    right: list[bool] = []
    strange = 0
    for utt, comparison in scored.utterances.items():
        spoken = [pair for pair in comparison.pairs if pair[1] is not None]
        row = marks.get(utt, [])
        confidences = [m.confidence for m in row if m.confidence is not None]
        same = [m.phone for m in row] == [pair[1] for pair in spoken]
        if not same or len(confidences) != len(spoken):
            strange += 1
            continue
        sure += confidences
        right += [left == phone for left, phone in spoken]
    notes = []
    if strange:
        notes.append(
            f"calibration leaves out {counted(strange, 'utterance')}: {path} has other phones than "
            "hyp there, or no confidence"
        )
    return (calibrate(sure, right) if sure else None), notes


def find_extras(
    source: Path,
    hyp: Path,
    lang_dir: str | None,
    lang: Lang | None,
    sides: Sides,
    scores: dict[str, Score],
) -> Extras:
    """What the data dir, lang dir and decode dir know besides the texts."""
    utt2spk = {utt: sides.utt2spk[utt] for utt in sides.references}
    seen = phones_in(scores["strict"].confusion)
    classes = class_table(
        seen,
        path=Path(lang_dir) / "classes.txt" if lang_dir else None,
        silence=lang.scoring_silence if lang else (),
    )
    notes = list(sides.notes)
    if others := [phone for phone, name in classes.items() if name == OTHER]:
        notes.append(
            f"under '{OTHER}' for want of a broad class: {counted(len(others), 'phone')}: "
            f"{named(others)}; name them in the lang dir's classes.txt"
        )
    headline = headline_policy(
        sides.references, lang.scoring_silence if lang else frozenset()
    )
    timing = calibration = None
    ctm, truth = hyp.parent / "ctm", source / "phones.ctm"
    if hyp.name == "hyp" and ctm.exists():
        marks = _folded_marks(ctm, lang)
        silence = lang.scoring_silence if lang else frozenset()
        # What the headline does not count cannot be right or wrong.
        unheard = silence if headline == "sil-forgiven" else frozenset()
        left = {
            u: [m for m in row if m.phone not in unheard] for u, row in marks.items()
        }
        calibration, faults = _calibration(scores[headline], left, ctm)
        notes += faults
        if source.is_dir() and truth.exists():
            wanted = set(sides.references)
            true = {u: m for u, m in _folded_marks(truth, lang).items() if u in wanted}
            timing = compare_times(true, marks)
            if lacking := len(wanted) - timing.utterances:
                notes.append(f"times of {counted(lacking, 'utterance')} are not known")
    traits = read_traits(source, utt2spk) if source.is_dir() else {}
    return Extras(utt2spk, traits, classes, timing, calibration, tuple(notes))


def score(
    data: str,
    decoded: str,
    *,
    lang: str | None = None,
    utt2spk: str | None = None,
    alignment: Alignment = "jiwer",
    format: Format = "auto",
    missing: Literal["error", "delete", "ignore"] = "error",
    extra: Literal["error", "ignore"] = "error",
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
        format: of text files: Kaldi text, CTM or TRN; auto knows by extension or lines.
        missing: utterances without a hypothesis are an error, count as deleted, or are
            left out; they are counted and named.
        extra: hypotheses without a reference are an error, or are left out likewise.
        out: folder for the tables; `scoring` beside the hypotheses when not given.
    """
    require(data, decoded, *([lang] if lang else []), mend="give an existing path")
    source, place = Path(data), Path(decoded)
    if source.is_dir() and utt2spk is not None:
        raise ConfigError("--utt2spk goes with a text file; a data dir has its own")
    hyp = place / "hyp" if place.is_dir() else place
    require(hyp, mend="run keraldi decode, or give a file of text, CTM or TRN")
    folder = Path(out) if out else hyp.parent / "scoring"
    tables = ("phones.txt", "fold.map", "lexicon.txt", "silence.txt", "classes.txt")
    inputs = [hyp, hyp.parent / "settings.yaml"]
    inputs += [source / "text", source / "utt2spk"] if source.is_dir() else [source]
    inputs += [Path(utt2spk)] if utt2spk else []
    inputs += [hyp.parent / "ctm"] if hyp.name == "hyp" else []
    inputs += [source / n for n in (*_TRAIT_FILES, "phones.ctm") if source.is_dir()]
    inputs += [Path(lang) / name for name in tables] if lang else []
    settings: dict[str, object] = {"alignment": alignment, "format": format}
    settings |= {"missing": missing, "extra": extra, "tables": 1}
    stamp = Stamp.of(folder, "score", settings=settings, inputs=inputs)
    if stamp.matches(*(folder / name for name in OUTPUTS)):
        note(f"score: {folder} is up to date")
        note((folder / "per").read_text(encoding="utf-8").splitlines()[0])
        return
    # A rate of other hypotheses must not outlive a run that fails.
    for name in ("per", "scores.json", *_OPTIONAL):
        (folder / name).unlink(missing_ok=True)
    phones = read_lang(lang) if lang else None
    joining = Joining(format, missing, extra)
    sides = read_sides(source, hyp, phones, utt2spk, joining)
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
    protocol = _protocol(sides, phones, hyp, alignment)
    per_lines(scores, protocol)  # refuses empty references before anything is written
    extras = find_extras(source, hyp, lang, phones, sides, scores)
    write_tables(folder, scores, protocol, extras)
    lines = write_report(folder, scores, protocol)
    stamp.write(*(folder / name for name in OUTPUTS))
    for line in extras.notes:
        note(f"score: {line}")
    for line in [*lines[1:], lines[0]]:
        note(line)
