"""What the numbers mean that a model puts out for every frame; and where its frames lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from features.errors import DataError
from features.frontend import FrontendOptions
from features.spectral import FeatureOptions
from pipeline.datadir.phones import PhoneTable

_ROUNDING = 1e-3  # above 0, of the log of a sure thing in single precision


class Placed(Protocol):
    """What lies over frames `start` to `end` (not included)."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


@dataclass(frozen=True)
class Clock:
    """Where network frames lie in time.

    Network frame k joins `skip` feature frames from k * skip on, and is labelled by the middle
    one; its centre is that of the middle one's window.

    Attributes:
        frame_shift, frame_length: of the features, in seconds.
        skip: feature frames from one network frame to the next.
    """

    frame_shift: float
    frame_length: float
    skip: int

    def borders(self, frames: np.ndarray) -> np.ndarray:
        """The times [N] half-way between the centres of network frames [N] and those before."""
        middles = (frames * self.skip + self.skip // 2) * self.frame_shift
        return middles + self.frame_length / 2 - self.skip * self.frame_shift / 2

    def spans(
        self, tokens: Sequence[Placed], num_frames: int, duration: float | None
    ) -> list[tuple[float, float]]:
        """Start and end of tokens in seconds; edge tokens reach to the utterance's edges.

        Args:
            tokens: of an utterance of `num_frames` network frames.
            duration: of the utterance; taken from its frames when None.
        """
        starts = np.array([token.start for token in tokens], np.int64)
        ends = np.array([token.end for token in tokens], np.int64)
        return self.times(starts, ends, num_frames, duration)

    def times(
        self,
        starts: np.ndarray,
        ends: np.ndarray,
        num_frames: int,
        duration: float | None,
    ) -> list[tuple[float, float]]:
        """As `spans`, of tokens that begin at frames `starts` [N] and end before `ends` [N]."""
        begins = np.where(starts > 0, self.borders(starts), 0.0)
        lasts = self.borders(ends)
        if duration is not None:
            lasts[ends >= num_frames] = duration
        # A stated duration may be rounded below the last border.
        lasts = np.maximum(lasts, begins + self.frame_shift / 2)
        return list(zip(begins.tolist(), lasts.tolist(), strict=True))


class Recipe(Protocol):
    """What a model knows of its outputs."""

    @property
    def phones(self) -> list[str]: ...
    @property
    def features(self) -> FeatureOptions: ...
    @property
    def frontend(self) -> FrontendOptions: ...
    @property
    def objective(self) -> Literal["framewise", "ctc"]: ...
    @property
    def states(self) -> int: ...
    @property
    def log_priors(self) -> list[float]: ...


@dataclass(frozen=True, kw_only=True)
class OutputLayer:
    """What stored posteriors must be told with, to be decoded without their model.

    Attributes:
        phones: V symbols, in order.
        objective: framewise, or CTC, whose last output is the blank.
        states: HMM states a phone, each an output; 1 with CTC.
        log_priors: [V * states], natural logs; empty with CTC.
        frame_shift, frame_length: of the features, in seconds.
        skip: feature frames from one output to the next.
    """

    __pydantic_config__ = {"extra": "forbid"}

    phones: list[str]
    objective: Literal["framewise", "ctc"]
    states: int
    log_priors: list[float]
    frame_shift: float
    frame_length: float
    skip: int

    @classmethod
    def of(cls, recipe: Recipe) -> "OutputLayer":
        """The outputs of a model."""
        ctc = recipe.objective == "ctc"
        return cls(
            phones=list(recipe.phones),
            objective=recipe.objective,
            states=1 if ctc else recipe.states,
            log_priors=[] if ctc else [float(p) for p in recipe.log_priors],
            frame_shift=recipe.features.frame_shift_ms / 1000,
            frame_length=recipe.features.frame_length_ms / 1000,
            skip=recipe.frontend.skip,
        )

    @property
    def ctc(self) -> bool:
        """Whether the last output is a blank."""
        return self.objective == "ctc"

    @property
    def width(self) -> int:
        """S outputs a frame: the states of all phones, or the phones and a blank."""
        return len(self.phones) + 1 if self.ctc else len(self.phones) * self.states

    @property
    def clock(self) -> Clock:
        """Where the frames lie."""
        return Clock(self.frame_shift, self.frame_length, self.skip)

    @property
    def table(self) -> PhoneTable:
        """The phones."""
        return PhoneTable(tuple(self.phones))

    def check(self, utt: str, log_posteriors: np.ndarray) -> None:
        """Checks an utterance's posteriors before they are searched.

        Raises:
            DataError: they are of another width than the phones ask for, hold NaN, or are no
                logs of probabilities.
        """
        if log_posteriors.ndim != 2 or log_posteriors.shape[1] != self.width:
            raise DataError(
                f"utterance {utt!r}: expected posteriors of shape [T, {self.width}], got "
                f"{list(log_posteriors.shape)}; the model and the lang dir differ"
            )
        if np.isnan(log_posteriors).any():
            raise DataError(
                f"utterance {utt!r}: its posteriors hold NaN; train the model again, or "
                "make the archive again"
            )
        if log_posteriors.size and log_posteriors.max() > _ROUNDING:
            raise DataError(
                f"utterance {utt!r}: expected log-posteriors, at most 0, got "
                f"{log_posteriors.max():g}; store natural logs of probabilities"
            )

    def phone_posteriors(self, log_posteriors: np.ndarray) -> np.ndarray:
        """Log posteriors of phones: the states of each added up.

        Args:
            log_posteriors: [T, S].

        Returns:
            [T, V] float32; with CTC [T, V + 1], the blank last, as they are.
        """
        if self.states == 1:
            return log_posteriors.astype(np.float32)
        frames = len(log_posteriors)
        split = log_posteriors.reshape(frames, len(self.phones), self.states)
        return np.logaddexp.reduce(split, axis=2).astype(np.float32)
