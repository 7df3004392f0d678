"""Error rates as counts that add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from features.errors import DataError
from pipeline.scoring.alignment import ALIGNMENTS, Alignment, Pair


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

    @property
    def percent(self) -> str:
        """The rate with two decimals; `n/a` where there is no reference token."""
        return f"{self.rate:.2f}" if self.tokens else "n/a"

    def line(self) -> str:
        """Kaldi's line: `%PER 18.50 [ 1335 / 7215, 161 ins, 391 del, 783 sub ]`."""
        return (
            f"%PER {self.percent} [ {self.errors} / {self.tokens}, {self.insertions} ins, "
            f"{self.deletions} del, {self.substitutions} sub ]"
        )


@dataclass(frozen=True)
class Comparison:
    """A reference and a hypothesis, aligned.

    Attributes:
        pairs: of phones in order; None marks a deletion or an insertion.
    """

    pairs: tuple[Pair, ...]

    @cached_property
    def counts(self) -> ErrorCounts:
        """What became of the reference."""
        insertions = sum(left is None for left, _ in self.pairs)
        deletions = sum(right is None for _, right in self.pairs)
        hits = sum(left == right for left, right in self.pairs)
        rest = len(self.pairs) - insertions - deletions - hits
        return ErrorCounts(hits, rest, deletions, insertions)


def compare(
    reference: Sequence[str],
    hypothesis: Sequence[str],
    *,
    alignment: Alignment = "jiwer",
) -> Comparison:
    """Aligns two sequences.

    Args:
        reference, hypothesis: phones, without spaces inside.
        alignment: with the fewest errors, or with sclite's weights.
    """
    return Comparison(tuple(ALIGNMENTS[alignment](reference, hypothesis)))


def count_errors(
    reference: Sequence[str],
    hypothesis: Sequence[str],
    *,
    alignment: Alignment = "jiwer",
) -> ErrorCounts:
    """The errors between a reference and a hypothesis.

    Example:
        >>> count_errors("s ih k s".split(), "s ih t".split())
        ErrorCounts(hits=2, substitutions=1, deletions=1, insertions=0)
    """
    return compare(reference, hypothesis, alignment=alignment).counts
