"""Error rates as counts that add up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import jiwer

from features.errors import DataError


@dataclass(frozen=True)
class ErrorCounts:
    """What became of reference tokens: hit, substituted, deleted; and what was inserted.

    Raises:
        DataError: a count is negative.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __post_init__(self) -> None:
        if min(self.hits, self.substitutions, self.deletions, self.insertions) < 0:
            raise DataError(f"error counts cannot be negative: {self}")

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def tokens(self) -> int:
        """Reference tokens."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors over reference tokens in percent; DataError where there is no token."""
        if not self.tokens:
            raise DataError(
                "an error rate needs reference tokens; the references are empty"
            )
        return 100.0 * self.errors / self.tokens

    def line(self) -> str:
        """Kaldi's line: `%PER 18.50 [ 1335 / 7215, 161 ins, 391 del, 783 sub ]`."""
        return (
            f"%PER {self.rate:.2f} [ {self.errors} / {self.tokens}, {self.insertions} ins, "
            f"{self.deletions} del, {self.substitutions} sub ]"
        )


@dataclass(frozen=True)
class Comparison:
    """Counts of a pair, and which phone stood for which.

    Attributes:
        counts: the errors.
        confusion: pairs of reference and hypothesis; None marks a deletion or insertion.
    """

    counts: ErrorCounts
    confusion: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)


def compare(reference: Sequence[str], hypothesis: Sequence[str]) -> Comparison:
    """Aligns two sequences with the fewest errors.

    Args:
        reference, hypothesis: phones, without spaces inside.
    """
    if not reference:  # jiwer refuses these
        extra = Counter((None, phone) for phone in hypothesis)
        return Comparison(ErrorCounts(insertions=len(hypothesis)), extra)
    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    for chunk in output.alignments[0]:
        left: list[str | None] = list(
            reference[chunk.ref_start_idx : chunk.ref_end_idx]
        )
        right: list[str | None] = list(
            hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        )
        length = max(len(left), len(right))
        left += [None] * (length - len(left))
        right += [None] * (length - len(right))
        pairs.update(zip(left, right, strict=True))
    counts = ErrorCounts(
        output.hits, output.substitutions, output.deletions, output.insertions
    )
    return Comparison(counts, pairs)


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """The fewest errors that turn the reference into the hypothesis."""
    return compare(reference, hypothesis).counts
