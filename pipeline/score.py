"""Stage score: hypotheses and references -> phoneme error rates."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.datadir.tables import read_table
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.table import (
    Score,
    check_same_utterances,
    headline_policy,
    score_texts,
)
from pipeline.stage import note, require

Texts = Mapping[str, Sequence[str]]


def describe_fold(lang: Lang) -> str:
    """One phrase on the fold: how many phones become how many, and which are deleted."""
    kept = {fold for fold in lang.fold.table.values() if fold is not None}
    deleted = [phone for phone, fold in lang.fold.table.items() if fold is None]
    what = f"{len(lang.fold.table)}->{len(kept)} phones"
    return (
        what
        + (f", {' '.join(deleted)} deleted" if deleted else "")
        + ", repeats not merged"
    )


def _settings_line(folder: Path) -> str:
    """How the hypotheses were decoded, where `decode` says so."""
    path = folder / "settings.yaml"
    if not path.exists():
        return "decoding settings unknown"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    line = ", ".join(f"{name} {values[name]}" for name in values if name != "decoded")
    same = values.get("tuned_on") is not None and values["tuned_on"] == values.get(
        "decoded"
    )
    return line + (" (TUNED ON THIS SET)" if same else "")


def _write_tables(folder: Path, score: Score) -> None:
    """Counts of every utterance and speaker, and the confusions."""
    rows = [
        f"{u} {c.counts.line()}\n"
        for u, c in score.utterances.items()
        if c.counts.tokens
    ]
    write_text(folder / "per_utt", "".join(rows))
    rows = [f"{s} {c.line()}\n" for s, c in sorted(score.speakers.items()) if c.tokens]
    write_text(folder / "per_spk", "".join(rows))
    pairs = sorted(score.confusion.items(), key=lambda item: (-item[1], str(item[0])))
    write_text(
        folder / "confusion",
        "".join(
            f"{count} {left or '<ins>'} {right or '<del>'}\n"
            for (left, right), count in pairs
        ),
    )


def write_scoring(
    folder: Path,
    references: Texts,
    hypotheses: Texts,
    lang: Lang,
    utt2spk: Mapping[str, str],
) -> str:
    """Writes `scoring/` beside the hypotheses.

    Returns:
        The headline, a `%PER` line.
    """
    silence = lang.scoring_silence
    scores = {
        policy: score_texts(
            references, hypotheses, policy=policy, silence=silence, utt2spk=utt2spk
        )
        for policy in POLICIES
    }
    headline = headline_policy(references, silence)
    best = scores[headline]
    low, high = best.interval()
    lines = [
        best.total.line(),
        f"95 % interval {low:.2f} to {high:.2f}, bootstrap over {len(best.speakers)} speakers",
        f"headline policy {headline}"
        + ("" if headline == "strict" else " (the references hold no silence)"),
        *(f"{policy}: {score.total.line()}" for policy, score in scores.items()),
        f"fold {describe_fold(lang)}; {best.total.tokens} reference tokens "
        f"in {len(references)} utterances",
        f"decoding: {_settings_line(folder)}",
    ]
    place = folder / "scoring"
    _write_tables(place, best)
    write_text(place / "per", "".join(f"{line}\n" for line in lines))
    for line in lines:
        note(f"score: {line}")
    return lines[0]


def score(data: str, decoded: str, *, lang: str) -> None:
    """Scores the hypotheses of a decode dir against the transcripts of its data dir.

    Args:
        data: data dir with the references in `text`.
        decoded: decode dir with `hyp`, or a text file of hypotheses; `scoring/` is written
            beside it.
        lang: lang dir: turns words into phones and folds them.
    """
    require(data, decoded, lang, mend="run the stages before this one")
    place = Path(decoded)
    hyp = place / "hyp" if place.is_dir() else place
    table, utterances = read_lang(lang), read_datadir(data)
    if utterances.text is None:
        raise DataError(f"{data}/text: no such file; scoring needs references")
    table.check_oov(utterances.text, source=f"{data}/text")
    hypotheses = {utt: tuple(line.split()) for utt, line in read_table(hyp).items()}
    check_same_utterances(utterances.text, hypotheses, source=str(hyp))
    references = {
        utt: table.fold.fold(table.phones_of(words))
        for utt, words in utterances.text.items()
    }
    folded = {utt: table.fold.fold(phones) for utt, phones in hypotheses.items()}
    write_scoring(hyp.parent, references, folded, table, utterances.utt2spk)
