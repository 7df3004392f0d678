"""Phones of a sound that is still going on, each as soon as it is certain."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.errors import ConfigError, DataError
from features.normalize import CmvnStats
from features.streams import FeatureStream, FrontendStream, PcmStream
from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import Token, runs

if TYPE_CHECKING:
    from pipeline.nnet.recipe import Recipe
    from pipeline.nnet.recogniser import Recogniser

_READ = 1 << 14  # bytes taken from standard input at once, where so many wait


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


def known_stats(recipe: "Recipe", given: CmvnStats | None) -> CmvnStats | None:
    """The statistics for CMVN, which a stream must know before it begins.

    Raises:
        ConfigError: they are those of the speaker or the utterance.
    """
    kind = recipe.frontend.cmvn
    if kind == "none" or given is not None:
        return given
    if kind == "global" and recipe.global_cmvn is not None:
        return CmvnStats(np.array(recipe.global_cmvn))
    raise ConfigError(
        f"the model was trained with cmvn: {kind}, and mean and variance of a {kind} are known "
        "at its end only; give --cmvn FILE, a cmvn.scp whose statistics are used throughout, or "
        "train with cmvn: global"
    )


class PhoneStream:
    """Audio in pieces to phones.

    Args:
        recogniser: a unidirectional model.
        decoder: for its posteriors.
        settings: of the search.
        rate_hz: of the samples.
        stats: for CMVN, in place of the model's own.

    Raises:
        ConfigError: model or search want to know the whole utterance.
    """

    def __init__(
        self,
        recogniser: "Recogniser",
        decoder: Decoder,
        settings: DecodeSettings,
        *,
        rate_hz: int,
        stats: CmvnStats | None = None,
    ) -> None:
        from pipeline.nnet.stream import CHUNK, NetworkStream

        recipe = recogniser.recipe
        self._network = NetworkStream(recogniser)
        self._search = make_search(decoder, settings)
        self._samples = PcmStream(rate_hz, recipe.features.rate_hz)
        self._features = FeatureStream(recipe.features)
        stats = known_stats(recipe, stats)
        dim = recipe.features.dim
        self._frontend = FrontendStream(recipe.frontend, stats, dim=dim)
        self._decoder = decoder
        self._rate_hz = recipe.features.rate_hz
        self._heard = 0  # samples
        self._rows = np.zeros(
            (0, decoder.outputs.width), np.float32
        )  # from `_first` on
        self._first = 0
        shift, skip = recipe.features.frame_shift_ms, recipe.frontend.skip
        self._parts = {
            "window": recipe.features.frame_length_ms,
            "frames ahead": self._frontend.ahead * shift,
            "label delay": self._network.delay * skip * shift,
            f"chunk of {CHUNK} network frames": CHUNK * skip * shift,
        }

    @property
    def latency(self) -> str:
        """How long after a sound its posteriors are known at the latest, and what makes it."""
        parts = " + ".join(f"{name} {ms:g}" for name, ms in self._parts.items() if ms)
        return f"{sum(self._parts.values()):g} ms ({parts})"

    @property
    def seconds(self) -> float:
        """How much was heard."""
        return self._heard / self._rate_hz

    @property
    def pending(self) -> int:
        """Bytes of a sample that is not complete."""
        return self._samples.pending

    def hear(self, content: bytes) -> list[PhoneInterval]:
        """The phones that are certain with these bytes of 16-bit samples."""
        return self._listen(self._samples.hear(content))

    def _listen(self, samples: np.ndarray) -> list[PhoneInterval]:
        self._heard += len(samples)
        frames = self._frontend.hear(self._features.hear(samples))
        return self._decode(self._network.hear(frames))

    def finish(self) -> list[PhoneInterval]:
        """The phones that are still to come at the end.

        Raises:
            DataError: less than one frame was heard, or no path can end.
        """
        phones = self._listen(self._samples.finish())
        phones += self._decode(self._network.hear(self._frontend.finish()))
        phones += self._decode(self._network.finish())
        if not self._first + len(self._rows):
            raise DataError(
                f"standard input: {self._heard} samples are less than one frame; speak longer"
            )
        frames = self._first + len(self._rows)
        tokens = self._search.finish()
        return phones + self._intervals(tokens, frames, self.seconds)

    def _decode(self, log_posteriors: np.ndarray) -> list[PhoneInterval]:
        if not len(log_posteriors):
            return []
        self._decoder.outputs.check("standard input", log_posteriors)
        self._rows = np.concatenate([self._rows, log_posteriors])
        tokens = self._search.hear(log_posteriors)
        # Certain phones end before the last frame, wherever that will be.
        found = self._intervals(tokens, self._first + len(self._rows) + 1, None)
        if tokens:
            self._rows = self._rows[tokens[-1].end - self._first :]
            self._first = tokens[-1].end
        return found

    def _intervals(
        self, tokens: list[Token], frames: int, seconds: float | None
    ) -> list[PhoneInterval]:
        found, first = [], self._first
        places = [Token(t.phone, t.start - first, t.end - first) for t in tokens]
        confidences = self._decoder.confidences(places, self._rows)
        for token, confidence in zip(tokens, confidences, strict=True):
            start, end = self._decoder.outputs.clock.span(token, frames, seconds)
            symbol = self._decoder.phones.symbols[token.phone]
            found.append(
                PhoneInterval(
                    symbol, round(start, 4), round(end, 4), round(confidence, 3)
                )
            )
        return found


class Interruptible:
    """Reads until the end or an interrupt (SIGINT), which never comes amid other work.

    Args:
        descriptor: of the file to read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reading = self._stopped = False

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True
        if self._reading:
            raise KeyboardInterrupt

    def __enter__(self) -> Iterator[bytes]:
        self._before = signal.signal(signal.SIGINT, self._stop)
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        while not self._stopped:
            try:
                self._reading = True
                content = os.read(self._descriptor, _READ)
                self._reading = False
            except KeyboardInterrupt:
                return
            finally:
                self._reading = False
            if not content:
                return
            yield content

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)


def line(phone: PhoneInterval) -> str:
    """Start and end in seconds, phone, confidence."""
    return f"{phone.start:.4f} {phone.end:.4f} {phone.phone} {phone.confidence:.3f}\n"


def load_stream(
    model: str,
    *,
    arpa: str | None,
    settings: DecodeSettings,
    rate_hz: int,
    stats: CmvnStats | None,
) -> PhoneStream:
    """A stream of a model dir's phones."""
    from pipeline.nnet.threads import one_thread_an_operation

    one_thread_an_operation()
    from pipeline.decoding.grammar import read_grammar
    from pipeline.decoding.outputs import OutputLayer
    from pipeline.nnet.recogniser import load_recogniser

    recogniser = load_recogniser(Path(model))
    layer = OutputLayer.of(recogniser.recipe)
    decoder = Decoder(layer, read_grammar(arpa, layer.table))
    return PhoneStream(recogniser, decoder, settings, rate_hz=rate_hz, stats=stats)


class Hearing(Protocol):
    """What `follow` feeds: a `PhoneStream`."""

    def hear(self, content: bytes) -> list[PhoneInterval]:
        """The phones that are certain with these bytes."""

    def finish(self) -> list[PhoneInterval]:
        """The phones that are still to come at the end."""


def follow(stream: Hearing, descriptor: int, write: Callable[[str], None]) -> int:
    """Writes the phones of what comes from a file until it ends or SIGINT comes.

    Args:
        stream: what hears it.
        descriptor: of the file.
        write: takes lines as soon as they are known.

    Returns:
        How many phones there were.
    """
    count = 0

    def tell(phones: list[PhoneInterval]) -> int:
        if phones:
            write("".join(map(line, phones)))
        return len(phones)

    with Interruptible(descriptor) as pieces:
        for content in pieces:
            count += tell(stream.hear(content))
        return count + tell(stream.finish())
