"""Memory of batches: what has been freed goes back to the system."""

import ctypes

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE = 4 << 20  # bytes


def give_back_large() -> None:
    """Has malloc take blocks of 4 MiB and more from the system, and give them back at once.

    glibc's malloc begins so, but once a block of up to 32 MiB was freed it keeps blocks as large
    for the thread that had them. Over hours of audio, whose batches have many sizes, every
    thread's place would grow to what the largest batches need. Other systems' malloc is left as
    it is.

    References:
        man 3 mallopt, M_MMAP_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back_freed() -> None:
    """Gives back what malloc holds of smaller blocks that were freed, whichever thread had them.

    References:
        man 3 malloc_trim.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
