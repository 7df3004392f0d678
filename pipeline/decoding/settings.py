"""How posteriors become phones: the settings that a decode dir keeps beside its hypotheses."""

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from features.errors import ConfigError
from pipeline.config import check, parse_yaml, parse_yaml_text

Search = Literal["viterbi", "prefix beam", "greedy", "votes"]

_SAID = frozenset(
    "search grammar tuned_on decoded posteriors".split()
)  # change nothing
BEAM = 15.0  # nats: 99 of 100 utterances of real speech as by an exact trigram search


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """The settings of a search, where they were chosen and where they were used.

    Attributes:
        acoustic_scale: of log posterior less log prior.
        prior_scale: of the log prior.
        lm_weight: of the log probabilities of the n-gram.
        insertion_penalty: taken off for every phone, in nats.
        min_frames: network frames a phone lasts at least.
        beam: paths of a Viterbi search that are worse than the best by more, in nats at LM
            weight 1 without penalty, are given up; None for an exact search.
        prefixes: how many a CTC search keeps after every frame.
        greedy: take the best output of every frame and heed nothing else.
        search: how phones were found; None before anything was decoded.
        grammar: the ARPA file; None where no model of sequences was used.
        tuned_on: data dir that LM weight and penalty were chosen on; None when they were given.
        decoded: data dir they were used on.
        posteriors: what was searched or voted among: a model dir, or several and how they
            were combined.
    """

    __pydantic_config__ = {"extra": "forbid"}

    acoustic_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    prior_scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    lm_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    insertion_penalty: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    min_frames: Annotated[int, Field(gt=0)] = 1
    beam: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = BEAM
    prefixes: Annotated[int, Field(gt=0)] = 16
    greedy: bool = False
    search: Search | None = None
    grammar: str | None = None
    tuned_on: str | None = None
    decoded: str | None = None
    posteriors: str | None = None

    @property
    def weights(self) -> dict[str, Any]:
        """Those that change what is found, without where they come from and were used."""
        return {name: v for name, v in asdict(self).items() if name not in _SAID}

    @property
    def width(self) -> float:
        """The beam in nats; infinite for an exact search.

        A new phone costs the more the greater weight and penalty are, while the best path
        stays in its phone; so the beam grows with them, half of it for the acoustic part.
        """
        if self.beam is None:
            return float("inf")
        return self.beam * (1.0 + self.lm_weight) / 2 + max(0.0, self.insertion_penalty)

    def search_of(self, *, ctc: bool) -> Search:
        """How these settings find phones."""
        if self.greedy:
            return "greedy"
        return "prefix beam" if ctc else "viterbi"

    @property
    def tuned_on_itself(self) -> bool:
        """Whether the set was decoded with settings that were chosen on it."""
        return (
            self.tuned_on is not None
            and self.decoded is not None
            and os.path.realpath(self.tuned_on) == os.path.realpath(self.decoded)
        )

    @property
    def chosen(self) -> str:
        """Where the settings come from, in words."""
        if self.search == "greedy":
            return "nothing to tune"
        return f"tuned on {self.tuned_on}" if self.tuned_on else "given, not tuned"

    def describe(self) -> str:
        """One line for the protocol beside an error rate."""
        if self.search == "greedy":
            return f"best output of every frame, {self.chosen}"
        if self.search == "votes":
            return f"{self.posteriors}"
        chosen = self.chosen
        grammar = self.grammar or "no language model"
        weights = (
            f"lm_weight {self.lm_weight:g}, insertion_penalty {self.insertion_penalty:g}, "
            f"acoustic_scale {self.acoustic_scale:g}"
        )
        if self.search == "prefix beam":
            return f"CTC beam of {self.prefixes}, {grammar}, {weights}; {chosen}"
        beam = "exact" if self.beam is None else f"beam {self.beam:g}"
        return (
            f"Viterbi, {grammar}, {weights}, prior_scale {self.prior_scale:g}, min_frames "
            f"{self.min_frames}, {beam}; {chosen}"
        )


def whole_settings(values: Any, source: str) -> DecodeSettings:
    """Makes settings of plain values, in which every setting must stand.

    Raises:
        ConfigError: one is missing (a default in its place would be an invention) or no
            value of its kind.
    """
    found = check(values, DecodeSettings, source=source)
    absent = [
        field.name for field in fields(DecodeSettings) if field.name not in values
    ]
    if absent:
        raise ConfigError(
            f"{source}: no {', '.join(absent)}; give a settings.yaml as keraldi decode writes "
            "it, or decode again"
        )
    return found


def read_settings(path: str | Path) -> DecodeSettings:
    """Reads a `settings.yaml`; see `whole_settings`."""
    return whole_settings(parse_yaml(path), str(path))


def check_grammar(settings: DecodeSettings, source: str | Path, *, given: bool) -> None:
    """Checks that settings that were used with an n-gram have one again.

    Args:
        settings: what was read.
        source: their file, for the message.
        given: whether there is an n-gram.

    Raises:
        ConfigError: there is none: weight and penalty of another search would make one phone
            of every frame.
    """
    if settings.grammar is not None and not given:
        raise ConfigError(
            f"{source}: settings of a search with the n-gram {settings.grammar}; give it too "
            "(arpa), or other settings"
        )


def chosen_settings(
    path: str | Path | None, carried: str | None, *, source: str, grammar: bool
) -> DecodeSettings:
    """The settings of a file; without, those that a model carries; without, the defaults.

    Args:
        path: a `settings.yaml`.
        carried: the text of the model's own.
        source: where that is, named in messages.
        grammar: whether there is an n-gram.

    Raises:
        ConfigError: as of `whole_settings` and `check_grammar`.
    """
    if path is not None:
        found = read_settings(path)
    elif carried is not None:
        found = whole_settings(parse_yaml_text(carried, source=source), source)
    else:
        found = DecodeSettings()
    check_grammar(found, path or source, given=grammar)
    return found
