"""Keep the memory of a process small that handles large answers for months.

glibc gives threads heaps of their own, and keeps large blocks in a heap once one of their size has been freed.  What is
allocated between them then keeps the heap from shrinking, and blocks of chains with all their results are megabytes.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_SETTINGS: Final = ((-8, 1), (-3, 64 * 1024), (-1, 128 * 1024))
"""Parameters of mallopt(3) with their values: M_ARENA_MAX, M_MMAP_THRESHOLD (bytes) and M_TRIM_THRESHOLD (bytes)."""


def return_freed_memory() -> None:
    """Have large blocks returned to the system as soon as they are freed.  Does nothing where libc is not glibc.

    Call it before threads are started: a heap that a thread has it keeps.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        for parameter, value in _SETTINGS:
            set_option(parameter, value)
