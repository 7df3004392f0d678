"""Recurrent acoustic models: layers, network, batches, training, inference.

Names are imported when they are first used: settings and batch plans do not need TensorFlow.
"""

import importlib
from typing import Any

_HOMES = {
    "AcousticModel": "pipeline.nnet.network",
    "Block": "pipeline.nnet.network",
    "load_recogniser": "pipeline.nnet.recogniser",
    **{
        name: "pipeline.nnet.recurrent"
        for name in ("SimpleRNN", "LSTM", "LSTMP", "GRU", "LiGRU")
    },
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
