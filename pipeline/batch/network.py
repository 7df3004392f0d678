"""A network over the utterances of a data dir, in a worker."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from features.errors import DataError
from pipeline.datadir.datadir import read_datadir, restrict

if TYPE_CHECKING:
    from pipeline.nnet.recogniser import Recogniser


@functools.cache
def _recogniser(model: str) -> "Recogniser":
    from pipeline.nnet.recogniser import load_recogniser
    from pipeline.nnet.threads import one_thread_an_operation

    one_thread_an_operation()
    return load_recogniser(model)


_data = functools.cache(read_datadir)


def network_share(
    model: str, data: str, utterances: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
    """Log-posteriors [T, S] of some utterances of a data dir with features, in their order."""
    chosen = restrict(_data(data), set(utterances))
    recogniser = _recogniser(model)
    return list(recogniser.log_posteriors(recogniser.inputs(chosen)))


def lost_utterance(utt: str) -> tuple[str, np.ndarray]:
    """An utterance that killed two workers cannot be left out of a set unnoticed."""
    raise DataError(
        f"utterance {utt!r}: two workers died of it; look at its features, or remove it from "
        "the data dir"
    )
