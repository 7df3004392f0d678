"""Searches that hear an utterance frame by frame and tell phones as they become certain."""

from typing import Protocol

import numpy as np

from features.errors import ConfigError, DataError
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import Token, runs


class Incremental(Protocol):
    """A search that is told of frames as they come and tells every phone once."""

    def hear(self, log_posteriors: np.ndarray) -> list[Token]:
        """The tokens that are certain with these frames [T, S]."""

    def finish(self) -> list[Token]:
        """The tokens that are still to come at the end."""


class BestPath:
    """Viterbi: a phone is certain when all living paths share it and the one after it."""

    def __init__(self, decoder: Decoder, settings: DecodeSettings) -> None:
        self._decoder, self._settings = decoder, settings
        self._search = decoder.search(settings)
        self._least = max(settings.min_frames, decoder.outputs.states)
        self._held: list[np.ndarray] = (
            []
        )  # while there are fewer frames than a phone has

    def hear(self, log_posteriors: np.ndarray) -> list[Token]:
        """The tokens that are certain with these frames [T, S]."""
        if self._search.frames < self._least:
            self._held.append(log_posteriors)
        scores = self._decoder.scores(log_posteriors, self._settings)
        self._search.hear(np.ascontiguousarray(scores, np.float32))
        return self._search.settle()

    def finish(self) -> list[Token]:
        """The tokens that are still to come at the end.

        Raises:
            DataError: every path that could end here was given up.
        """
        if self._search.frames < self._least:
            return self._decoder.decode(np.concatenate(self._held), self._settings)
        found = self._search.best()
        if found is None:
            raise DataError(
                f"standard input: no path within the beam of {self._settings.width:g} ends with "
                "a whole phone, so the last phones are not known; raise beam in --settings"
            )
        return found.tokens


class BestOutputs:
    """Greedy: a phone is certain when another output is the best."""

    def __init__(self, decoder: Decoder) -> None:
        self._outputs = decoder.outputs
        self._frames = 0
        self._open: Token | None = None

    def _told(self, tokens: list[Token]) -> list[Token]:
        blank = len(self._outputs.phones)
        return [token for token in tokens if token.phone != blank]

    def hear(self, log_posteriors: np.ndarray) -> list[Token]:
        """The tokens that are certain with these frames [T, S]."""
        labels = log_posteriors.argmax(axis=1) // self._outputs.states
        tokens = [
            Token(token.phone, token.start + self._frames, token.end + self._frames)
            for token in runs(labels)
        ]
        self._frames += len(labels)
        if self._open is not None and tokens:
            if tokens[0].phone == self._open.phone:
                tokens[0] = Token(self._open.phone, self._open.start, tokens[0].end)
            else:
                tokens.insert(0, self._open)
        if tokens:
            self._open = tokens.pop()
        return self._told(tokens)

    def finish(self) -> list[Token]:
        """The tokens that are still to come at the end."""
        return self._told([] if self._open is None else [self._open])


def make_search(decoder: Decoder, settings: DecodeSettings) -> Incremental:
    """The search that settings ask for.

    Raises:
        ConfigError: it wants to know the whole utterance.
    """
    if settings.greedy:
        return BestOutputs(decoder)
    if decoder.outputs.ctc:
        raise ConfigError(
            "the prefix beam of CTC finds the places of phones from the whole utterance; give "
            "--settings with greedy: true, or leave out --stream"
        )
    return BestPath(decoder, settings)
