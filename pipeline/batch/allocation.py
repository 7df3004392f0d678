"""Memory that threads share: what one has freed another can use."""

import ctypes

_M_ARENA_MAX = -8  # of glibc's malloc.h


def one_arena() -> None:
    """Has all threads that start from now on take memory from the same place.

    glibc's malloc gives each thread a place of its own, and keeps what is freed there for that
    thread. Over hours of audio, whose batches have many sizes, every place would grow to what
    the largest batches need. Other systems' malloc is left as it is.

    References:
        man 3 mallopt.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
