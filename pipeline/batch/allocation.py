"""Memory of batches: what has been freed goes back to the system."""

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h
_LARGE = 4 << 20  # bytes


def keep_little(threads: int) -> None:
    """Has malloc give large blocks back at once, and keep few places for small ones.

    Blocks of 4 MiB and more come from the system each time.

    glibc's malloc begins so, but once a block of up to 32 MiB was freed it keeps blocks as large
    for the thread that had them. Over hours of audio, whose batches have many sizes, every
    thread's place would grow to what the largest batches need. TensorFlow has more threads than
    batches under way, and a place for every one would keep holes of its own. Other systems'
    malloc is left as it is.

    Args:
        threads: batches under way at a time.

    References:
        man 3 mallopt, M_MMAP_THRESHOLD and M_ARENA_MAX.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, max(2, threads))


def give_back_freed() -> None:
    """Gives back what malloc holds of smaller blocks that were freed, whichever thread had them.

    References:
        man 3 malloc_trim.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
