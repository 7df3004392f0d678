"""Where malloc takes blocks from, and what it gives back."""

import platform
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="a matter of glibc's"
)
BLOCK = 8 << 20
START = f"""
import ctypes
from pipeline.batch import allocation
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.mallopt(-3, {4 * BLOCK})  # as after such a block was freed, whatever MALLOC_... variables say
"""
LARGE = f"""
if {{given_back}}:
    allocation.give_back_large()
libc.malloc({BLOCK})
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
FREED = """
import psutil
def resident():
    return psutil.Process().memory_info().rss
blocks = [libc.malloc(100_000) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]:  # the last one keeps the others from the end of malloc's place
    libc.free(block)
before = resident()
allocation.give_back_freed()
print(before - resident())
"""


def told(program: str) -> str:
    """What a process of its own prints."""
    return subprocess.run(
        [sys.executable, "-c", START + program],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_large_blocks_are_the_systems():
    mapped = {}
    for given_back in (False, True):
        info = told(LARGE.format(given_back=given_back))
        found = re.search(r'type="mmap" count="\d+" size="(\d+)"', info)
        mapped[given_back] = int(found[1])
    assert mapped[True] - mapped[False] >= BLOCK


def test_freed_blocks_are_given_back():
    assert int(told(FREED)) > 50_000_000
