"""What holds for all tests: less time spent on looking for garbage."""

import gc

# TensorFlow is a million objects that stay. Python's own thresholds look through them again and
# again while it is loaded and while graphs are drawn, which took a fifteenth of the suite's time.
gc.set_threshold(50_000, 10, 10)


def pytest_collection_finish() -> None:
    """What collecting the tests has loaded stays to the end: nobody looks at it any more."""
    gc.collect()
    gc.freeze()
