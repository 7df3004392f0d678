"""A quick start: what Python would do while TensorFlow is loaded, and nobody needs."""

import atexit
import gc
import sys

# Allocations between collections, and collections of young objects between those of older
# ones. Loading TensorFlow makes some million objects that stay; Python's own 700 would look
# through them thousands of times. Garbage in circles is still found, only later.
_THRESHOLDS = (50_000, 20, 100)


# Keras loads these wherever they are installed, for wrappers and pictures that it offers.
_NEEDLESS = ("sklearn", "matplotlib")


def start_quickly() -> None:
    """Halves the seconds until TensorFlow is there; for processes that are Keraldi's own.

    Imports of what Keraldi does not use fail, and Keras goes on without. At the end objects are
    left to the system, which frees them at once.
    """
    gc.set_threshold(*_THRESHOLDS)
    for name in _NEEDLESS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    atexit.register(gc.freeze)


def dask_setup(_worker: object) -> None:
    """What dask calls in a worker that preloads this module."""
    start_quickly()
