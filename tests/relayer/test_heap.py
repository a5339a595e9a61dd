from __future__ import annotations

import subprocess
import sys

from tests.support.tools import ROOT

SCATTER = """
import sys
import psutil
from relayer.heap import return_freed_memory

if sys.argv[1] == "returned":
    return_freed_memory()
for _ in range(3):
    bytearray(16 << 20)  # once freed, blocks of up to its size are taken from the heap from then on
before = psutil.Process().memory_info().rss
large, small = [], []
for _ in range(400):
    large.append(bytearray(b"x" * 200_000))
    small.append(bytearray(20_000))  # of megabytes in all, for which there is no room below
del large
print((psutil.Process().memory_info().rss - before) // 1_000_000)
"""


def measure_kept(mode: str) -> int:
    """Return how many megabytes a process keeps: 8 are in use, and 80 it has freed."""
    done = subprocess.run(
        [sys.executable, "-c", SCATTER, mode], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return int(done.stdout)


def test_large_blocks_are_returned_although_small_ones_lie_between_them() -> None:
    assert measure_kept("returned") < 16
    assert measure_kept("kept") > 40, "glibc has learned to return them by itself"
