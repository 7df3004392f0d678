"""Parts of recordings: from here to there, of one channel or of all."""

from dataclasses import dataclass

from features.errors import AudioError

# Seconds that a segment may end past its recording, as of Kaldi's extract-segments.
OVERSHOOT = 0.5


def _told(seconds: float | None) -> str:
    """A time for a message; one that no recording reaches without its hundreds of digits."""
    if seconds is None:
        return "its end"
    return f"{seconds:.3f} s" if abs(seconds) < 1e7 else f"{seconds:g} s"


@dataclass(frozen=True)
class Part:
    """What is wanted of a recording; all of it by default.

    Attributes:
        start: in seconds.
        end: in seconds; None for the recording's.
        channel: which one, from 0; None for the mean of all.
    """

    start: float = 0.0
    end: float | None = None
    channel: int | None = None

    def bounds(self, total: int, rate: int, name: str) -> tuple[int, int]:
        """The first sample of the part, and the one behind its last.

        Args:
            total: samples of the recording.
            rate: of them, in Hz.
            name: for messages.

        Raises:
            AudioError: the part is of no length, or is not within the recording.
        """
        start, end = self.start, self.end
        latest = (
            total / rate + 1.0
        )  # of far later times none would be a number of samples
        first = round(min(start, latest) * rate)
        last = total if end is None else round(min(end, latest) * rate)
        if start < 0 or (end is not None and end <= start):
            raise AudioError(
                f"{name}: a segment of it goes from {_told(start)} to {_told(end)}; mend segments"
            )
        if first >= total and total:
            raise AudioError(
                f"{name}: {_told(total / rate)} long, but a segment begins at {_told(start)}; "
                "mend segments"
            )
        if last > total + OVERSHOOT * rate:
            raise AudioError(
                f"{name}: {_told(total / rate)} long, but a segment ends at {_told(end)}; "
                "mend segments"
            )
        return first, max(first, min(last, total))


WHOLE = Part()
