"""Which utterances are shown, and error rates by their length."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import Any

from pipeline.scoring.alignment import Pair
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.record import as_json, from_json

_BINS = 8  # at most
_NICE = (1, 2, 5)


def bin_width(longest: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, … that cuts lengths up to `longest` in a few bins."""
    power = 1
    while True:
        for nice in _NICE:
            if math.ceil(max(longest, 1) / (nice * power)) <= _BINS:
                return nice * power
        power *= 10


def by_length(utterances: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Counts by the number of reference phones, bins of equal width; they add up to the set's.

    Args:
        utterances: of `scores.json`.

    Returns:
        COUNTS by bin, `1–5`, `6–10`, …; empty bins are left out, `0` holds empty references.
    """
    rows = [from_json(counts) for counts in utterances.values()]
    width = bin_width(max((row.tokens for row in rows), default=1))
    bins: dict[int, ErrorCounts] = {}
    for row in rows:
        number = math.ceil(row.tokens / width)
        bins[number] = bins.get(number, ErrorCounts()) + row
    return {_label(number, width): as_json(bins[number]) for number in sorted(bins)}


def _label(number: int, width: int) -> str:
    first, last = (number - 1) * width + 1, number * width
    if number == 0:
        return "0"
    return str(last) if width == 1 else f"{first}–{last}"


def by_class(
    phones: Mapping[str, Mapping[str, Any]], class_of: Mapping[str, str]
) -> dict[str, Any]:
    """Counts of the phones of each broad class; another phone of the class is still an error."""
    classes: dict[str, ErrorCounts] = {}
    for phone, counts in phones.items():
        name = class_of[phone]
        classes[name] = classes.get(name, ErrorCounts()) + from_json(counts)
    return {name: as_json(classes[name]) for name in sorted(classes)}


def confused_examples(
    pairs: Mapping[str, Iterable[Pair]], count: int, *, drawn: Set[str] = frozenset()
) -> list[str]:
    """Utterances that hold the most frequent errors, so that each can be heard.

    Args:
        pairs: aligned phones of every utterance.
        count: of errors, the most frequent ones.
        drawn: utterances that can be heard anyway.

    Returns:
        For each error that none of those drawn holds, the utterance in which it comes most
        often; each utterance once.
    """
    errors: Counter[Pair] = Counter()
    heard: set[Pair] = set()
    best: dict[Pair, tuple[int, str]] = {}
    for utt, row in pairs.items():
        found = Counter(pair for pair in row if pair[0] != pair[1])
        errors.update(found)
        if utt in drawn:
            heard.update(found)
        for pair, times in found.items():
            if times > best.get(pair, (0, ""))[0]:
                best[pair] = times, utt
    order = sorted(errors, key=lambda pair: (-errors[pair], str(pair)))[:count]
    return list(dict.fromkeys(best[pair][1] for pair in order if pair not in heard))


def choose_examples(
    utterances: Mapping[str, Mapping[str, Any]], count: int
) -> dict[str, list[str]]:
    """The utterances of the highest error rate, and those around the median rate.

    Args:
        utterances: of `scores.json`; those without a reference phone have no rate and are
            passed over.
        count: how many of each kind.

    Returns:
        `worst`, the worst first (of equal rates the one of more errors), and `median`, from
        the lower rate to the higher; none is in both.
    """
    rated = sorted(
        (utt for utt, counts in utterances.items() if counts["rate"] is not None),
        key=lambda u: (-utterances[u]["rate"], -utterances[u]["errors"], u.encode()),
    )
    worst = rated[:count]
    first = max(len(worst), (len(rated) - count + 1) // 2)
    return {"worst": worst, "median": rated[first : first + count][::-1]}
