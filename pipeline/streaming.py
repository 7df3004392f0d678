"""Phones of a sound that is still going on, each as soon as it is certain."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.errors import ConfigError, DataError, counted
from features.normalize import CmvnStats
from features.streams import FeatureStream, FrontendStream, PcmStream
from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.incremental import make_search
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import Token

if TYPE_CHECKING:
    from pipeline.nnet.recipe import Recipe
    from pipeline.nnet.recogniser import Recogniser


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
                f"standard input: {counted(self._heard, 'sample')}, less than one frame; speak "
                "longer"
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
        first, symbols = self._first, self._decoder.phones.symbols
        places = [Token(t.phone, t.start - first, t.end - first) for t in tokens]
        confidences = self._decoder.confidences(places, self._rows)
        spans = self._decoder.outputs.clock.spans(tokens, frames, seconds)
        return [
            PhoneInterval(
                symbols[token.phone], round(start, 4), round(end, 4), round(sure, 3)
            )
            for token, (start, end), sure in zip(
                tokens, spans, confidences, strict=True
            )
        ]


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
