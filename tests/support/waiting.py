"""Waiting for what must come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE_S = 120.0
"""How long a test waits for what must come, before it fails."""


def eventually(look: Callable[[], T | None], what: str) -> T:
    """Return the first result that is neither None nor False."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None and found is not False:
            return found
        time.sleep(0.02)
    raise AssertionError(f"expected {what} within {PATIENCE_S:g} s")
