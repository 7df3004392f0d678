"""A quick start: what Python would do while TensorFlow is loaded, and nobody needs."""

import atexit
import contextlib
import gc
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

from features.noise import without_noise

# Allocations between collections, and collections of young objects between those of older
# ones. Loading TensorFlow makes some million objects that stay; Python's own 700 would look
# through them thousands of times. Garbage in circles is still found, only later.
_THRESHOLDS = (50_000, 20, 100)


# Keras loads these wherever they are installed, for wrappers and pictures that it offers.
_NEEDLESS = ("sklearn", "matplotlib")


@contextlib.contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Imports of a module fail for so long, unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


class _LoadedWithin(importlib.abc.MetaPathFinder):
    """Finds one module as others would, once, and has it loaded within a context.

    Args:
        name: of the module.
        context: made when the module is found, entered while it is loaded.
    """

    def __init__(
        self, name: str, context: Callable[[], contextlib.ContextDecorator]
    ) -> None:
        self._name = name
        self._context = context

    def find_spec(
        self, fullname: str, _path: object, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; None for all others."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and (loader := spec.loader) is not None:
            within = self._context()(loader.exec_module)
            loader.exec_module = within  # type: ignore[method-assign]
        return spec


def start_quickly() -> None:
    """Halves the seconds until TensorFlow is there; for processes that are Keraldi's own.

    Imports of what Keraldi does not use fail, and Keras and numba go on without. At the end
    objects are left to the system, which frees them at once.
    """
    gc.set_threshold(*_THRESHOLDS)
    for name in _NEEDLESS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    atexit.register(gc.freeze)
    # No compiled code of Keraldi's multiplies matrices, and the import of SciPy's products takes
    # as long as the rest of numba's start: numba goes on without, all others find them.
    sys.meta_path[:0] = [
        _LoadedWithin("tensorflow", without_noise),
        _LoadedWithin("numba.np.arraymath", partial(_hidden, "scipy.linalg")),
    ]


def dask_setup(_worker: object) -> None:
    """What dask calls in a worker that preloads this module."""
    start_quickly()


def dask_teardown(_worker: object) -> None:
    """What dask calls when such a worker ends, which a thread that waits for a command delays."""
    from features.commands import end_commands

    end_commands()
