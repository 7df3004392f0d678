"""Recurrent acoustic models: layers, network, batches, training, inference.

Names are imported when they are first used: settings and batch plans do not need TensorFlow.
"""

import importlib
import os
from typing import Any

# TensorFlow reads this when it is first imported. Of itself it takes oneDNN's matrix products
# only on processors with AVX-512 VNNI; on others, too, a large recurrent layer trains up to a
# fifth faster with them, and a small one as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

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
