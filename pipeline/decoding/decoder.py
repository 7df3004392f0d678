"""A model's posteriors to phones with times and confidences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.ctc import prefix_beam
from pipeline.decoding.forced import locate_ctc
from pipeline.decoding.grammar import Grammar
from pipeline.decoding.hmm import Network, make_network
from pipeline.decoding.nbest import nbest_frames
from pipeline.decoding.outputs import OutputLayer
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import Token, greedy_ctc, greedy_frames
from pipeline.decoding.viterbi import Search, decode_frames


@dataclass(frozen=True)
class Hypothesis:
    """One way to hear an utterance.

    Attributes:
        tokens: its phones.
        score: of the search: acoustic + lm_weight * lm - insertion_penalty for every phone.
        acoustic: scaled log likelihood.
        lm: natural log probability of the phones, 0 without a model of sequences.
    """

    tokens: list[Token]
    score: float
    acoustic: float
    lm: float


class Decoder:
    """Turns an utterance's posteriors into tokens.

    Args:
        outputs: what the posteriors mean.
        grammar: of their V phones, unscaled.
    """

    def __init__(self, outputs: OutputLayer, grammar: Grammar) -> None:
        self.outputs = outputs
        self.phones = outputs.table
        self._grammar = grammar
        self._log_priors = np.array(outputs.log_priors, np.float32)
        # Of the last settings: to weigh a large grammar for every utterance is slow.
        self._last: tuple[tuple[float, float, int], Grammar, Network] | None = None

    def _prepared(self, settings: DecodeSettings) -> tuple[Grammar, Network]:
        """The grammar with weight and penalty, and the network of the phones' HMMs over it."""
        key = (settings.lm_weight, settings.insertion_penalty, settings.min_frames)
        last = self._last  # read once: threads share the decoder
        if last is None or last[0] != key:
            grammar = self._grammar.weighted(*key[:2])
            states = self.outputs.states
            network = make_network(grammar, states=states, min_frames=key[2])
            last = self._last = (key, grammar, network)
        return last[1:]

    def scores(
        self, log_posteriors: np.ndarray, settings: DecodeSettings
    ) -> np.ndarray:
        """Posteriors divided by priors: likelihoods but for a factor a frame."""
        scores = log_posteriors - settings.prior_scale * self._log_priors
        return scores * settings.acoustic_scale

    def search(self, settings: DecodeSettings) -> Search:
        """A Viterbi search that hears `scores` in any number of pieces."""
        return Search(self._prepared(settings)[1], beam=settings.width)

    def decode(
        self, log_posteriors: np.ndarray, settings: DecodeSettings
    ) -> list[Token]:
        """The tokens of an utterance.

        Args:
            log_posteriors: [T, S], checked; with CTC the blank last.
            settings: of the search. Greedy search heeds no weight, CTC no priors and no
                minimum duration.
        """
        if settings.greedy:
            if self.outputs.ctc:
                return greedy_ctc(log_posteriors)
            return greedy_frames(log_posteriors, states=self.outputs.states)
        if self.outputs.ctc:
            return self._by_prefixes(log_posteriors, settings, 1)[0].tokens
        return decode_frames(
            self.scores(log_posteriors, settings),
            self._prepared(settings)[1],
            beam=settings.width,
        ).tokens

    def _by_prefixes(
        self, log_posteriors: np.ndarray, settings: DecodeSettings, count: int
    ) -> list[Hypothesis]:
        """The best sequences by CTC, with places in the frames where they are most likely."""
        found = prefix_beam(
            log_posteriors,
            self._prepared(settings)[0],
            width=max(settings.prefixes, count),
            scale=settings.acoustic_scale,
        )
        return [
            self._split(
                locate_ctc(log_posteriors, prefix.phones), prefix.score, settings
            )
            for prefix in found[:count]
        ]

    def _split(
        self, tokens: list[Token], score: float, settings: DecodeSettings
    ) -> Hypothesis:
        lm = self._grammar.score(token.phone for token in tokens)
        added = settings.lm_weight * lm - settings.insertion_penalty * len(tokens)
        return Hypothesis(tokens, score, score - added, lm)

    def exact_steps(self, settings: DecodeSettings) -> tuple[int, int]:
        """Histories and phones that an exact Viterbi search steps between at every frame.

        Returns:
            (0, 0) where the search is another one.
        """
        if settings.greedy or self.outputs.ctc or settings.beam is not None:
            return 0, 0
        histories, phones = self._grammar.following.shape
        return histories, phones

    def shortest(self, settings: DecodeSettings) -> int:
        """Network frames that an utterance needs for one whole phone."""
        if settings.greedy or self.outputs.ctc:
            return 1
        return self._prepared(settings)[1].length

    def nbest(
        self, log_posteriors: np.ndarray, settings: DecodeSettings, *, count: int
    ) -> list[Hypothesis]:
        """The best `count` sequences or fewer, all different, best first.

        Args:
            log_posteriors: [T, S], checked.
            settings: as of `decode`, not greedy.
            count: >= 1; a CTC search keeps at least as many prefixes.
        """
        if self.outputs.ctc:
            return self._by_prefixes(log_posteriors, settings, count)
        found = nbest_frames(
            self.scores(log_posteriors, settings),
            self._prepared(settings)[1],
            count=count,
            beam=settings.width,
        )
        return [self._split(phones.tokens, phones.score, settings) for phones in found]

    def confidences(
        self, tokens: Sequence[Token], log_posteriors: np.ndarray
    ) -> list[float]:
        """The mean posterior of each token's phone over its frames, from 0 to 1.

        Args:
            tokens: in order, none of them over another.
            log_posteriors: [T, S] that they are in.
        """
        if not tokens:
            return []
        lengths = np.array([token.end - token.start for token in tokens])
        firsts = np.cumsum(lengths) - lengths
        starts = np.array([token.start for token in tokens])
        frames = np.arange(lengths.sum()) + np.repeat(starts - firsts, lengths)
        states = self.outputs.states
        phones = np.repeat([token.phone * states for token in tokens], lengths)
        columns = phones[:, None] + np.arange(states)
        chosen = np.exp(log_posteriors[frames[:, None], columns], dtype=np.float64)
        sums = np.add.reduceat(chosen.sum(axis=1), firsts)
        means: list[float] = np.minimum(1.0, sums / lengths).tolist()
        return means

    def intervals(
        self,
        tokens: Sequence[Token],
        log_posteriors: np.ndarray,
        duration: float | None,
    ) -> list[PhoneInterval]:
        """Phones with their times and confidences.

        Args:
            tokens: what `decode` found.
            log_posteriors: what it found them in.
            duration: of the utterance in seconds; None when it is not known.
        """
        frames, clock = len(log_posteriors), self.outputs.clock
        confidences = self.confidences(tokens, log_posteriors)
        spans = clock.spans(tokens, frames, duration)
        return [
            PhoneInterval(self.phones.symbols[token.phone], *span, confidence)
            for token, span, confidence in zip(tokens, spans, confidences, strict=True)
        ]
