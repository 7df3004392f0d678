"""A model's posteriors to phones with times and confidences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import Token, greedy_ctc
from pipeline.decoding.viterbi import PhoneBigram, decode_frames


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

    def border(self, frame: int) -> float:
        """The time half-way between the centres of network frame `frame` - 1 and `frame`."""
        middle = (frame * self.skip + self.skip // 2) * self.frame_shift
        return middle + self.frame_length / 2 - self.skip * self.frame_shift / 2

    def span(
        self, token: Token, num_frames: int, duration: float | None
    ) -> tuple[float, float]:
        """Start and end of a token in seconds; edge tokens reach to the utterance's edges.

        Args:
            token: of an utterance of `num_frames` network frames.
            duration: of the utterance; taken from its frames when None.
        """
        last = self.border(num_frames) if duration is None else duration
        start = self.border(token.start) if token.start else 0.0
        end = self.border(token.end) if token.end < num_frames else last
        # A stated duration may be rounded below the last border.
        return start, max(end, start + self.frame_shift / 2)


@dataclass(frozen=True)
class Decoder:
    """Turns an utterance's posteriors into tokens.

    Attributes:
        phones: V of them.
        bigram: of phones, unscaled.
        log_priors: [V * states]; not used with CTC.
        states: states a phone.
        ctc: whether the last output is a blank and decoding is greedy.
    """

    phones: PhoneTable
    bigram: PhoneBigram
    log_priors: np.ndarray
    states: int
    ctc: bool

    @property
    def width(self) -> int:
        """Outputs a frame: the states of all phones, or the phones and a blank."""
        return len(self.phones) + 1 if self.ctc else len(self.phones) * self.states

    def check(self, utt: str, log_posteriors: np.ndarray) -> None:
        """Checks an utterance's posteriors before they are searched.

        Raises:
            DataError: they are of another width than the phones ask for, or hold NaN.
        """
        if log_posteriors.ndim != 2 or log_posteriors.shape[1] != self.width:
            raise DataError(
                f"utterance {utt!r}: expected posteriors of shape [T, {self.width}], got "
                f"{list(log_posteriors.shape)}; the model and the lang dir differ"
            )
        if np.isnan(log_posteriors).any():
            raise DataError(
                f"utterance {utt!r}: its posteriors hold NaN; train the model again"
            )

    def decode(
        self, log_posteriors: np.ndarray, settings: DecodeSettings
    ) -> list[Token]:
        """The tokens of an utterance.

        Args:
            log_posteriors: [T, V * states], with CTC [T, V + 1] and the blank last.
            settings: scales, weight, penalty, minimum duration; greedy CTC heeds none.
        """
        if self.ctc:
            return greedy_ctc(log_posteriors)
        scores = log_posteriors - settings.prior_scale * self.log_priors
        tokens, _ = decode_frames(
            scores * settings.acoustic_scale,
            states=self.states,
            bigram=self.bigram.scaled(settings.lm_weight, settings.insertion_penalty),
            min_frames=settings.min_frames,
        )
        return tokens

    def confidence(self, token: Token, log_posteriors: np.ndarray) -> float:
        """The mean posterior of a token's phone over its frames, from 0 to 1."""
        first = token.phone * self.states
        span = log_posteriors[token.start : token.end, first : first + self.states]
        return min(1.0, float(np.exp(span).sum(axis=1).mean()))

    def intervals(
        self,
        tokens: Sequence[Token],
        log_posteriors: np.ndarray,
        clock: Clock,
        duration: float | None,
    ) -> list[PhoneInterval]:
        """Phones with their times and confidences.

        Args:
            tokens: what `decode` found.
            log_posteriors: what it found them in.
            clock: where its frames lie.
            duration: of the utterance in seconds; None when it is not known.
        """
        frames = len(log_posteriors)
        return [
            PhoneInterval(
                self.phones.symbols[token.phone],
                *clock.span(token, frames, duration),
                self.confidence(token, log_posteriors),
            )
            for token in tokens
        ]
