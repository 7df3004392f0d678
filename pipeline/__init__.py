"""Keraldi: speech acoustic models with recurrent networks, one stage a module.

Importing this package makes Keraldi's layers and models known to Keras, so that
`keras.models.load_model("exp/x/final.keras")` works. TensorFlow itself is not imported
here: the registration waits until something else imports Keras.
"""

import importlib
from types import ModuleType
from typing import Any

import wrapt


def _register(_keras: ModuleType) -> None:
    importlib.import_module("pipeline.nnet.network")


wrapt.register_post_import_hook(_register, "keras")


def __getattr__(name: str) -> Any:
    if name != "Recogniser":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("pipeline.recogniser").Recogniser
