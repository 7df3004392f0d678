"""A network over the utterances of a data dir, in a worker."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.errors import DataError
from pipeline.datadir.datadir import DataDir, read_datadir, restrict
from pipeline.stage import fingerprint

if TYPE_CHECKING:
    from pipeline.nnet.recogniser import Recogniser


def content_of(model: str, data: DataDir) -> str:
    """Identifies a model dir, and what features a data dir has."""
    tables = (data.utt2spk, data.feats, data.cmvn)
    said = [fingerprint(Path(model) / "final.keras"), *map(str, tables)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


# Of one content each: a worker that lives long sees models and data that were made again.
@functools.lru_cache(maxsize=1)
def _recogniser(model: str, content: str) -> "Recogniser":
    from pipeline.nnet.recogniser import load_recogniser
    from pipeline.nnet.threads import one_thread_an_operation

    one_thread_an_operation()
    return load_recogniser(model)


@functools.lru_cache(maxsize=1)
def _data(data: str, content: str) -> DataDir:
    return read_datadir(data)


def network_share(
    model: str, data: str, content: str, utterances: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
    """Log-posteriors [T, S] of some utterances of a data dir with features, in their order.

    Args:
        model: model dir.
        data: data dir.
        content: `content_of` both.
        utterances: names.
    """
    chosen = restrict(_data(data, content), set(utterances))
    recogniser = _recogniser(model, content)
    return list(recogniser.log_posteriors(recogniser.inputs(chosen)))


def lost_utterance(utt: str) -> tuple[str, np.ndarray]:
    """An utterance that killed two workers cannot be left out of a set unnoticed."""
    raise DataError(
        f"utterance {utt!r}: two workers died of it; look at its features, or remove it from "
        "the data dir"
    )
