"""The files of a `scoring` folder: rates with their protocol, tables, confusions."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError, counted
from features.files import write_text
from pipeline.datadir.phones import Fold
from pipeline.datadir.tables import read_lines
from pipeline.scoring.alignment import Alignment
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.table import Score

_TUNED_ON_ITSELF = "TUNED ON THIS SET"
_ALIGNED: dict[Alignment, str] = {
    "jiwer": "fewest errors (jiwer)",
    "sclite": "sclite's weights (4 sub, 3 ins, 3 del): perhaps more than the fewest errors",
}


@dataclass(frozen=True)
class Protocol:
    """What must stand beside an error rate for another to be compared with it.

    Attributes:
        headline: the silence policy of the first line.
        why: why that policy.
        fold: one phrase on the fold.
        alignment: how reference and hypothesis were aligned.
        decoding: one phrase on the settings and the set they were tuned on.
        tuned_on_itself: whether they were tuned on the set that is scored.
    """

    headline: str
    why: str
    fold: str
    alignment: Alignment
    decoding: str
    tuned_on_itself: bool = False


def describe_fold(fold: Fold) -> str:
    """One phrase: how many phones become how many, and which are deleted."""
    kept = {folded for folded in fold.table.values() if folded is not None}
    deleted = [phone for phone, folded in fold.table.items() if folded is None]
    phrase = f"{len(fold.table)}->{len(kept)} phones"
    if all(phone == folded for phone, folded in fold.table.items()):
        phrase = f"none, {len(kept)} phones"
    return (
        phrase
        + (f", {' '.join(deleted)} deleted" if deleted else "")
        + ", repeats not merged"
    )


def per_lines(scores: Mapping[str, Score], protocol: Protocol) -> list[str]:
    """The lines of `scoring/per`, the headline first.

    Args:
        scores: of every policy.
        protocol: what to say beside them.

    Raises:
        DataError: the headline's references hold no phone.
    """
    best = scores[protocol.headline]
    mark = f" -- {_TUNED_ON_ITSELF}" if protocol.tuned_on_itself else ""
    if not best.total.tokens:
        raise DataError("the references hold no phone to count; check text")
    return [
        best.total.line(),
        best.interval().line(),
        f"headline policy {protocol.headline} ({protocol.why})",
        *(f"{policy}: {scores[policy].total.line()}" for policy in POLICIES),
        f"fold: {protocol.fold}; {counted(best.total.tokens, 'reference token')} in "
        f"{counted(len(best.utterances), 'utterance')}",
        f"alignment: {_ALIGNED[protocol.alignment]}",
        f"decoding: {protocol.decoding}{mark}",
    ]


@dataclass(frozen=True)
class Summary:
    """What `scoring/per` says, for tables of several.

    Attributes:
        rate: %PER of the headline policy.
        counts: its errors and tokens, as `1335 / 7215`.
        interval: its 95 % interval, as `17.20-19.80`.
        headline: the silence policy.
        rates: %PER by policy, as text.
        protocol: fold, alignment and decoding, one line each.
    """

    rate: float
    counts: str
    interval: str
    headline: str
    rates: dict[str, str]
    protocol: tuple[str, ...]

    @property
    def tuned_on_itself(self) -> bool:
        """Whether the set was decoded with settings that were tuned on it."""
        return any(_TUNED_ON_ITSELF in line for line in self.protocol)


# What `read_per` needs of a file: a pattern, and the same in words.
_FIRST = (
    re.compile(r"\A%PER (\d+\.\d+) \[ (\d+ / \d+),"),
    "a first line of the form '%PER 18.50 [ 1335 / 7215, …'",
)
_INTERVAL = (
    re.compile(r"^95 % interval ([\d.]+) to ([\d.]+),", flags=re.MULTILINE),
    "a line '95 % interval LOW to HIGH, …'",
)
_HEADLINE = (
    re.compile(r"^headline policy (\S+)", flags=re.MULTILINE),
    "a line 'headline policy NAME …'",
)


def _line(name: str, rest: str) -> tuple[re.Pattern[str], str]:
    pattern = re.compile(rf"^{name}: {rest}", flags=re.MULTILINE)
    return pattern, f"a line that begins with '{name}: '"


def _find(wanted: tuple[re.Pattern[str], str], text: str, path: Path) -> re.Match[str]:
    pattern, words = wanted
    found = pattern.search(text)
    if found is None:
        began = text.partition("\n")[0][:60]
        got = f"it begins with {began!r}" if text.strip() else "the file is empty"
        raise DataError(f"{path}: expected {words}, {got}; run keraldi score again")
    return found


def read_per(path: Path) -> Summary:
    """Reads the file that `write_report` wrote.

    Raises:
        DataError: it is of another form; says which line is missing.
    """
    text = "\n".join(read_lines(path))
    line, interval = _find(_FIRST, text, path), _find(_INTERVAL, text, path)
    return Summary(
        rate=float(line[1]),
        counts=line[2],
        interval=f"{interval[1]}-{interval[2]}",
        headline=_find(_HEADLINE, text, path)[1],
        rates={p: _find(_line(p, r"%PER (\S+) "), text, path)[1] for p in POLICIES},
        protocol=tuple(
            _find(_line(name, ".*$"), text, path)[0]
            for name in ("fold", "alignment", "decoding")
        ),
    )


def _table(
    name: str,
    headline: str,
    columns: Mapping[str, Mapping[str, ErrorCounts]],
) -> str:
    """Counts by key under the headline policy, and the rates under each."""
    head = f"# {name} tokens hit sub del ins (policy {headline})"
    rows = [f"{head} %PER: {' '.join(POLICIES)}"]
    for key in sorted(columns[headline], key=str.encode):
        c = columns[headline][key]
        counts = (c.tokens, c.hits, c.substitutions, c.deletions, c.insertions)
        rates = (columns[policy][key].percent for policy in POLICIES)
        rows.append(" ".join([key, *map(str, counts), *rates]))
    return "".join(f"{row}\n" for row in rows)


def _confusion(score: Score) -> Iterable[str]:
    """Pairs with their counts, the most frequent first."""
    pairs = sorted(score.confusion.items(), key=lambda item: (-item[1], str(item[0])))
    yield "# count reference hypothesis\n"
    for (left, right), count in pairs:
        yield f"{count} {left or '<ins>'} {right or '<del>'}\n"


def write_report(
    folder: Path, scores: Mapping[str, Score], protocol: Protocol
) -> list[str]:
    """Writes `per`, `per_utt`, `per_spk` and `confusion`; `per` last.

    Returns:
        The lines of `per`.
    """
    lines = per_lines(scores, protocol)
    headline = protocol.headline
    utterances = {
        policy: {utt: c.counts for utt, c in score.utterances.items()}
        for policy, score in scores.items()
    }
    speakers = {policy: score.speakers for policy, score in scores.items()}
    write_text(folder / "per_utt", _table("utterance", headline, utterances))
    write_text(folder / "per_spk", _table("speaker", headline, speakers))
    write_text(folder / "confusion", "".join(_confusion(scores[headline])))
    write_text(folder / "per", "".join(f"{line}\n" for line in lines))
    return lines
