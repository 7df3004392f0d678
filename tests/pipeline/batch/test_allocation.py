"""Where malloc takes large blocks from, told by malloc itself."""

import platform
import re
import subprocess
import sys

import pytest

BLOCK = 8 << 20
PROGRAM = f"""
import ctypes
from pipeline.batch.allocation import give_back_large
if {{given_back}}:
    give_back_large()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.free(libc.malloc({3 * BLOCK}))  # from now on glibc would keep blocks of this size
libc.malloc({BLOCK})
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc's")
def test_large_blocks_are_the_systems():
    mapped = {}
    for given_back in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(given_back=given_back)],
            capture_output=True,
            text=True,
            check=True,
        )
        told = re.search(r'type="mmap" count="\d+" size="(\d+)"', done.stdout)
        mapped[given_back] = int(told[1])
    assert mapped[True] - mapped[False] >= BLOCK
