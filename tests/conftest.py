"""What holds for all tests: their order, and less time spent on looking for garbage."""

import gc
from pathlib import Path

import pytest

# TensorFlow is a million objects that stay. Python's own thresholds look through them again and
# again while it is loaded and while graphs are drawn, which took a fifteenth of the suite's time.
gc.set_threshold(50_000, 10, 10)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Networks come first, then stages: with short files last, workers end together."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        folder = item.path.parent
        return "nnet" not in folder.parts, folder.name != "pipeline"

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What collecting the tests has loaded stays to the end: nobody looks at it any more."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def gone():
    """Tells whether a process has ended; its parent may not have been told yet."""

    def ended(process: int) -> bool:
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    return ended
