"""References and hypotheses to counts: per utterance, speaker and policy."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import reduce
from operator import add

from features.errors import DataError, counted
from pipeline.scoring.alignment import Alignment, Pair
from pipeline.scoring.counts import Comparison, ErrorCounts, compare
from pipeline.scoring.intervals import Interval, bootstrap_interval
from pipeline.scoring.policies import POLICIES

Texts = Mapping[str, Sequence[str]]
_LISTED = 10  # names in a message


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")


def one_sided(
    references: Collection[str], hypotheses: Collection[str]
) -> tuple[list[str], list[str]]:
    """Utterances that only the references, and that only the hypotheses have, sorted."""
    missing, extra = set(references) - set(hypotheses), set(hypotheses) - set(
        references
    )
    return sorted(missing, key=str.encode), sorted(extra, key=str.encode)


def check_same_utterances(
    references: Collection[str], hypotheses: Collection[str], *, source: str
) -> None:
    """Checks that both sides have the same utterances.

    Raises:
        DataError: names those that only one side has.
    """
    missing, extra = one_sided(references, hypotheses)
    faults = [
        f"{source}: {counted(len(names), 'utterance')} {what}: {_listed(names)}"
        for names, what in (
            (missing, "of the reference not there; decode the whole set"),
            (extra, "not in the reference; score against the set that was decoded"),
        )
        if names
    ]
    if faults:
        raise DataError.of(faults)


@dataclass(frozen=True)
class Score:
    """The counts of a set under one policy.

    Attributes:
        utterances: what became of each.
        speakers: counts of each speaker.
    """

    utterances: dict[str, Comparison]
    speakers: dict[str, ErrorCounts]

    @property
    def total(self) -> ErrorCounts:
        """Counts of the whole set."""
        return reduce(add, self.speakers.values(), ErrorCounts())

    @property
    def confusion(self) -> Counter[Pair]:
        """Pairs of reference and hypothesis over the whole set."""
        compared = self.utterances.values()
        return Counter(pair for comparison in compared for pair in comparison.pairs)

    def interval(self) -> Interval:
        """The 95 % interval of the rate: by bootstrap over speakers, or utterances of one."""
        if len(self.speakers) > 1:
            return bootstrap_interval(list(self.speakers.values()), unit="speakers")
        counts = [comparison.counts for comparison in self.utterances.values()]
        return bootstrap_interval(counts, unit="utterances")


def score_texts(
    references: Texts,
    hypotheses: Texts,
    *,
    policy: str,
    silence: Set[str],
    utt2spk: Mapping[str, str],
    alignment: Alignment = "jiwer",
) -> Score:
    """Counts errors of folded phones under a silence policy.

    Args:
        references, hypotheses: phones by utterance; both have the same utterances.
        policy: one of `POLICIES`.
        silence: phones that are silence.
        utt2spk: speaker of every utterance.
        alignment: with the fewest errors, or with sclite's weights.
    """
    prepare = POLICIES[policy]
    utterances = {
        utt: compare(
            prepare(phones, silence),
            prepare(hypotheses[utt], silence),
            alignment=alignment,
        )
        for utt, phones in references.items()
    }
    speakers: dict[str, ErrorCounts] = {}
    for utt, comparison in utterances.items():
        speaker = utt2spk[utt]
        speakers[speaker] = speakers.get(speaker, ErrorCounts()) + comparison.counts
    return Score(utterances, speakers)


def headline_policy(references: Texts, silence: Set[str]) -> str:
    """`strict` where the references hold silence, `sil-forgiven` where they do not.

    A corpus whose transcripts leave pauses out would count every pause as an insertion. Where
    no phone is known to be silence all policies are the same, and `strict` says so best.
    """
    written = any(
        phone in silence for phones in references.values() for phone in phones
    )
    return "strict" if written or not silence else "sil-forgiven"
