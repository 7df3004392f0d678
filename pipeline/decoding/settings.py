"""How posteriors become phones: the settings that a decode dir keeps beside its hypotheses."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Search = Literal["viterbi", "greedy ctc"]


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """The settings of a search, where they were chosen and where they were used.

    Attributes:
        acoustic_scale: of log posterior less log prior.
        prior_scale: of the log prior.
        lm_weight: of the log bigram.
        insertion_penalty: taken off for every phone, in nats.
        min_frames: network frames a phone lasts at least.
        search: how phones were found; None before anything was decoded.
        grammar: the ARPA file; None where no model of sequences was used.
        tuned_on: data dir that LM weight and penalty were chosen on; None when they were given.
        decoded: data dir they were used on.
    """

    __pydantic_config__ = {"extra": "forbid"}

    acoustic_scale: Annotated[float, Field(gt=0)] = 1.0
    prior_scale: Annotated[float, Field(ge=0)] = 1.0
    lm_weight: Annotated[float, Field(ge=0)] = 1.0
    insertion_penalty: float = 0.0
    min_frames: Annotated[int, Field(gt=0)] = 1
    search: Search | None = None
    grammar: str | None = None
    tuned_on: str | None = None
    decoded: str | None = None

    @property
    def tuned_on_itself(self) -> bool:
        """Whether the set was decoded with settings that were chosen on it."""
        return (
            self.tuned_on is not None
            and self.decoded is not None
            and os.path.realpath(self.tuned_on) == os.path.realpath(self.decoded)
        )

    def describe(self) -> str:
        """One line for the protocol beside an error rate."""
        if self.search == "greedy ctc":
            return "greedy CTC, nothing to tune"
        chosen = f"tuned on {self.tuned_on}" if self.tuned_on else "given, not tuned"
        return (
            f"Viterbi, {self.grammar or 'no language model'}, lm_weight {self.lm_weight:g}, "
            f"insertion_penalty {self.insertion_penalty:g}, acoustic_scale "
            f"{self.acoustic_scale:g}, prior_scale {self.prior_scale:g}, min_frames "
            f"{self.min_frames}; {chosen}"
        )
