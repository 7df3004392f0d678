"""How long recordings are, for their segments to be held against."""

from collections.abc import Mapping, Sequence

from features.audio import audio_duration
from features.errors import AudioError
from features.parts import OVERSHOOT
from pipeline.datadir.rows import Row, number_in


class RecordingTimes:
    """Lengths of recordings: of `reco2dur` where it has them, or else by their files' headers.

    A header takes some 0.4 ms to read, and is read once. Commands are not run, and files that
    cannot be read are passed over: others say what is wrong with them.

    Args:
        tables: `wav.scp`, and `reco2dur` if there is one.
    """

    def __init__(self, tables: Mapping[str, Sequence[Row]]) -> None:
        self._sources = {row.key: row.value for row in tables.get("wav.scp", ())}
        self._seconds: dict[str, float | None] = {
            row.key: number_in(row.value) for row in tables.get("reco2dur", ())
        }

    def of(self, recording: str) -> float | None:
        """Seconds; None where they are not known."""
        if recording not in self._seconds:
            self._seconds[recording] = self._measured(self._sources.get(recording, ""))
        return self._seconds[recording]

    def _measured(self, source: str) -> float | None:
        if not source or source.endswith("|"):
            return None
        try:
            return audio_duration(source)
        except AudioError:
            return None

    def fault(self, recording: str, start: float, end: float) -> str | None:
        """What is wrong with a segment, as `extract` would say; an end of -1 is the file's."""
        seconds = self.of(recording)
        if seconds is None:
            return None
        if start >= seconds:
            what = f"begins at {start:.3f} s"
        elif end > seconds + OVERSHOOT:
            what = f"ends at {end:.3f} s"
        else:
            return None
        return (
            f"{what}, but recording {recording!r} is {seconds:.3f} s long; mend its times, or "
            "remove the segment"
        )
