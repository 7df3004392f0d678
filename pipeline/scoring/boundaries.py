"""Whether phones are found at the right time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.datadir.times import PhoneInterval

TOLERANCES_MS = (10, 20, 50)
_FRAME_S = 0.01
_SLACK = (
    1e-6  # seconds; times are decimals, a distance of exactly 20 ms is within 20 ms
)


@dataclass(frozen=True)
class BoundaryCounts:
    """Boundaries of both sides, and how many of them have a partner within the tolerance."""

    matched: int
    references: int
    hypotheses: int

    @property
    def recall(self) -> float:
        """Share of the reference's boundaries that were found."""
        return self.matched / self.references if self.references else 0.0

    @property
    def precision(self) -> float:
        """Share of the hypothesis's boundaries that are right."""
        return self.matched / self.hypotheses if self.hypotheses else 0.0

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.references + self.hypotheses
        return 2 * self.matched / total if total else 0.0

    @property
    def r_value(self) -> float:
        """Räsänen's R-value, which over-segmentation does not raise.

        References:
            Räsänen, Laine & Altosaar 2009, An improved speech segmentation quality measure.
        """
        if not self.references:
            return 0.0
        over = self.hypotheses / self.references - 1.0
        first = math.hypot(1.0 - self.recall, over)
        second = abs(-over + self.recall - 1.0) / math.sqrt(2.0)
        return 1.0 - (first + second) / 2.0


def match_boundaries(
    references: Sequence[float], hypotheses: Sequence[float], *, tolerance: float
) -> int:
    """How many pairs can be made, each boundary in one pair at most.

    Args:
        references, hypotheses: seconds, ascending.
        tolerance: seconds.
    """
    i = j = matched = 0
    while i < len(references) and j < len(hypotheses):
        distance = hypotheses[j] - references[i]
        if abs(distance) <= tolerance + _SLACK:
            i, j, matched = i + 1, j + 1, matched + 1
        elif distance < 0:
            j += 1
        else:
            i += 1
    return matched


def _labels(
    marks: Sequence[PhoneInterval], times: np.ndarray, ids: Mapping[str, int]
) -> np.ndarray:
    """The phone at each time, -1 where there is none."""
    starts = np.array([mark.start for mark in marks])
    ends = np.array([mark.end for mark in marks])
    names = np.array([ids[mark.phone] for mark in marks])
    if not len(marks):
        return np.full(len(times), -1)
    place = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    inside = (times >= starts[place]) & (times < ends[place])
    return np.where(inside, names[place], -1)


@dataclass(frozen=True)
class Timing:
    """How well times agree, over the utterances whose times are known.

    Attributes:
        boundaries: by tolerance in ms.
        frames, frames_right: of 10 ms, where the reference has a phone.
        utterances: how many were compared.
    """

    boundaries: dict[int, BoundaryCounts]
    frames: int
    frames_right: int
    utterances: int

    @property
    def frame_accuracy(self) -> float:
        """In percent."""
        return 100.0 * self.frames_right / self.frames if self.frames else 0.0


def compare_times(
    references: Mapping[str, Sequence[PhoneInterval]],
    hypotheses: Mapping[str, Sequence[PhoneInterval]],
) -> Timing:
    """Boundaries and frames of the utterances that both sides have.

    A boundary is the start of every phone of an utterance but the first.

    Args:
        references, hypotheses: folded phones with times, by utterance, ascending.
    """
    shared = sorted(set(references) & set(hypotheses))
    totals = {ms: [0, 0, 0] for ms in TOLERANCES_MS}
    frames = right = 0
    for utt in shared:
        true, found = references[utt], hypotheses[utt]
        sides = [[mark.start for mark in side[1:]] for side in (true, found)]
        for ms, total in totals.items():
            total[0] += match_boundaries(sides[0], sides[1], tolerance=ms / 1000)
            total[1] += len(sides[0])
            total[2] += len(sides[1])
        phones = sorted({mark.phone for mark in (*true, *found)})
        ids = {phone: number for number, phone in enumerate(phones)}
        end = true[-1].end if true else 0.0
        times = (np.arange(round(end / _FRAME_S)) + 0.5) * _FRAME_S
        labels = _labels(true, times, ids)
        frames += int((labels >= 0).sum())
        right += int(((labels >= 0) & (labels == _labels(found, times, ids))).sum())
    boundaries = {ms: BoundaryCounts(*total) for ms, total in totals.items()}
    return Timing(boundaries, frames, right, len(shared))
