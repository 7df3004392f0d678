"""The settings of a network and its training, as they stand in `conf/*.yaml`."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from features.augment import SpecAugment
from features.errors import ConfigError
from features.frontend import FrontendOptions
from pipeline.nnet.ranges import (
    bound,
    check_gru_norm,
    flag,
    implementation,
    positive,
    share,
)
from pipeline.nnet.recipe import MOST_DELAY

_STRICT = {"extra": "forbid"}
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

_Checks = dict[str, Callable[[str, Any], object]]
_ALL: _Checks = {
    "dropout": share,
    "recurrent_dropout": share,
    "zoneout": share,
    "implementation": implementation,
}
_LSTM: _Checks = {
    **_ALL,
    "peepholes": flag,
    "forget_gate": flag,
    "forget_bias": flag,
    "layer_norm": flag,
    "cell_clip": bound,
}
_CELL_OPTIONS: dict[str, _Checks] = {
    "rnn": {**_ALL, "layer_norm": flag},
    "lstm": _LSTM,
    "lstmp": {**_LSTM, "nonrecurrent": positive, "projection_clip": bound},
    "gru": {**_ALL, "reset_after": flag, "layer_norm": flag},
    "ligru": _ALL,
}


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """One layer, or `repeat` layers alike.

    Attributes:
        type: plain RNN, LSTM, LSTM with projection, GRU, light GRU, or a feed-forward layer.
        cells: cells N of a recurrent layer in each direction, units of a dense one.
        projection: P of an LSTMP, half the cells when absent; or of a GRU, none when absent.
        bidirectional: whether and how the two directions are joined.
        dropout: share of the layer's outputs dropped on their way to the next layer;
            the recurrent connections are never dropped.
        residual: the layer's input is added or appended to its output, or a gate of its
            own chooses between both (highway).
        layer_norm: the layer's output is normalised over its units.
        activation: of a plain RNN or dense layer.
        options: more arguments of the layer in `pipeline.nnet.recurrent`, such as
            `peepholes: true`, `zoneout: 0.1`, `recurrent_dropout: 0.2` or
            `implementation: engine`.
    """

    __pydantic_config__ = _STRICT

    type: Literal["rnn", "lstm", "lstmp", "gru", "ligru", "dense"]
    cells: Positive
    projection: Positive | None = None
    bidirectional: Literal["none", "concat", "sum"] = "none"
    repeat: Positive = 1
    dropout: Fraction = 0.0
    residual: Literal["none", "add", "concat", "highway"] = "none"
    layer_norm: bool = False
    activation: Literal["tanh", "sigmoid", "relu"] = "tanh"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.projection is not None and self.type not in ("lstmp", "gru"):
            raise ConfigError(
                f"a layer of type {self.type} has no projection; use type: lstmp or gru"
            )
        if self.options and self.type == "dense":
            raise ConfigError("a dense layer has no options; remove options")
        if self.bidirectional != "none" and self.type == "dense":
            raise ConfigError("a dense layer has no direction; remove bidirectional")
        if self.activation != "tanh" and self.type not in ("rnn", "dense"):
            raise ConfigError(
                f"the activations of type {self.type} are fixed; remove activation"
            )
        self._check_options()

    def _check_options(self) -> None:
        """That the cell has the options, and their values are in range."""
        checks = _CELL_OPTIONS.get(self.type, {})
        for name, value in self.options.items():
            if name not in checks:
                near = difflib.get_close_matches(name, checks, n=1)
                mend = f"did you mean {near[0]!r}? A" if near else "a"
                raise ConfigError(
                    f"options.{name}: unknown; {mend} layer of type {self.type} takes "
                    f"{', '.join(sorted(checks))}"
                )
            checks[name](f"options.{name}", value)
        if self.type == "gru" and self.options.get("layer_norm"):
            check_gru_norm("options.layer_norm", bool(self.options.get("reset_after")))


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """A stack of layers, first to last."""

    __pydantic_config__ = _STRICT

    layers: Annotated[list[LayerOptions], Field(min_length=1)]

    @property
    def unidirectional(self) -> bool:
        """Whether no layer sees the future, so that the state can be carried over chunks."""
        return all(layer.bidirectional == "none" for layer in self.layers)


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """What the network is trained to say.

    Attributes:
        type: cross-entropy against one label a frame, or connectionist temporal
            classification against the phone sequence.
        states: HMM states a phone (framewise).
        label_delay: network frames by which labels come late, so that a unidirectional
            network hears some of the future (framewise).
    """

    __pydantic_config__ = _STRICT

    type: Literal["framewise", "ctc"] = "framewise"
    states: Literal[1, 3] = 1
    label_delay: Annotated[int, Field(ge=0, le=MOST_DELAY)] = 0


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """How weights follow gradients; `clip_norm` bounds the norm of all gradients together."""

    __pydantic_config__ = _STRICT

    type: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: PositiveFloat = 0.001
    momentum: Fraction = 0.9
    clip_norm: PositiveFloat = 5.0


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """How the learning rate changes.

    Attributes:
        type: `newbob` halves by the dev loss as Kaldi's nnet1 does; `onecycle` rises
            to the learning rate and falls to nearly nothing (Smith & Topin 2019);
            `exponential` falls by the same factor each step to `final_fraction`.
        start_halving: newbob: relative improvement of the dev loss under which halving begins.
        stop: newbob: relative improvement under which training ends, once halving.
        factor: newbob: what the learning rate is multiplied by.
        warmup: onecycle: share of the steps spent rising.
        final_fraction: exponential, onecycle: last learning rate over the highest.
    """

    __pydantic_config__ = _STRICT

    type: Literal["constant", "newbob", "onecycle", "exponential"] = "constant"
    start_halving: PositiveFloat = 0.01
    stop: PositiveFloat = 0.001
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    warmup: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    final_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How utterances are grouped.

    Attributes:
        frames: most network frames in a batch, padding counted.
        utterances: most utterances in a batch.
        chunk_frames: back-propagation through time is cut after so many frames and the
            state carried on (truncated BPTT); None takes whole utterances.
    """

    __pydantic_config__ = _STRICT

    frames: Positive = 8000
    utterances: Positive = 64
    chunk_frames: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How long, from which seed, and which weights are kept.

    Attributes:
        epochs: most passes over the data.
        seed: of weights, order, dropout and augmentation.
        select: what the best epoch is best by, on the dev set.
        patience: epochs without a better one after which training stops; None never.
        average: checkpoints averaged at the end (taken when better than the best one); 1 none.
        save_steps: steps between two saved states.
        bad_batches: batches with a non-finite loss or gradient after which training stops.
    """

    __pydantic_config__ = _STRICT

    epochs: Positive = 15
    seed: Count = 1
    select: Literal["loss", "per"] = "loss"
    patience: Positive | None = None
    average: Positive = 1
    save_steps: Positive = 200
    bad_batches: Positive = 5


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All of a training `conf/*.yaml`."""

    __pydantic_config__ = _STRICT

    network: NetworkOptions
    frontend: FrontendOptions = field(default_factory=FrontendOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    batches: BatchOptions = field(default_factory=BatchOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    augment: SpecAugment | None = None

    def __post_init__(self) -> None:
        uni = self.network.unidirectional
        if self.batches.chunk_frames and not uni:
            raise ConfigError(
                "batches.chunk_frames: a bidirectional layer needs whole utterances; "
                "remove chunk_frames or set bidirectional: none"
            )
        if self.batches.chunk_frames and self.objective.type == "ctc":
            raise ConfigError(
                "batches.chunk_frames: CTC needs whole utterances; "
                "remove chunk_frames or set objective.type: framewise"
            )
        if self.objective.label_delay and not uni:
            raise ConfigError(
                "objective.label_delay: a bidirectional layer hears the future already; set it to 0"
            )
        if self.objective.label_delay and self.objective.type == "ctc":
            raise ConfigError(
                "objective.label_delay: CTC finds its own delay; set it to 0"
            )
