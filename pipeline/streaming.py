"""Phones of a sound that is still going on, each as soon as it is certain."""

import numpy as np

from features.errors import ConfigError, DataError, counted
from features.normalize import CmvnStats
from features.streams import FeatureStream, FrontendStream, PcmStream
from pipeline.batch.exported import is_exported
from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.incremental import make_search
from pipeline.decoding.tokens import Token
from pipeline.nnet.artefact import Description, Runtime
from pipeline.nnet.chunks import CHUNK
from pipeline.recogniser import Recogniser, Search


def known_stats(description: Description) -> CmvnStats | None:
    """The statistics for CMVN, which a stream must know before it begins.

    Raises:
        ConfigError: they are those of the speaker or the utterance.
    """
    if description.stats is not None:
        return CmvnStats(np.array(description.stats))
    kind = description.recipe.frontend.cmvn
    if kind == "none":
        return None
    raise ConfigError(
        f"the model was trained with cmvn: {kind}, and mean and variance of a {kind} are known "
        "at its end only; give --cmvn FILE, a cmvn.scp whose statistics are used throughout "
        "(of an exported model to keraldi export), or train with cmvn: global"
    )


class PhoneStream:
    """Audio in pieces to phones.

    Args:
        runtime: a unidirectional model.
        search: for its posteriors.
        rate_hz: of the samples.

    Raises:
        ConfigError: model or search want to know the whole utterance.
    """

    def __init__(self, runtime: Runtime, search: Search, *, rate_hz: int) -> None:
        description, decoder = runtime.description, search.decoder
        recipe = description.recipe
        self._network = runtime.stream()
        self._search = make_search(decoder, search.settings)
        self._samples = PcmStream(rate_hz, recipe.features.rate_hz)
        self._features = FeatureStream(recipe.features)
        stats = known_stats(description)
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
    settings: str | None,
    cmvn: str | None,
    rate_hz: int,
) -> PhoneStream:
    """A stream of phones; model dir or `.tflite` file and options as of `Recogniser.load`."""
    if not is_exported(model):
        from pipeline.nnet.threads import one_thread_an_operation

        one_thread_an_operation()
    loaded = Recogniser.load(model, arpa=arpa, settings=settings, cmvn=cmvn)
    return PhoneStream(loaded.runtime, loaded.search, rate_hz=rate_hz)
