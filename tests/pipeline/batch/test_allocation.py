"""How many places malloc takes memory from, told by malloc itself."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from pipeline.batch.allocation import one_arena
if {limited}:
    one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=libc.malloc, args=(1000,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_one_arena():
    heaps = {}
    for limited in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(limited=limited)],
            capture_output=True,
            text=True,
            check=True,
        )
        heaps[limited] = done.stdout.count("<heap nr=")
    assert heaps[True] == 1 < heaps[False]
