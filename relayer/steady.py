"""A clock for pauses: wall time that never goes back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relayer.types import NO_TIME, TimeNs

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class SteadyClock:
    """Wall time in Unix nanoseconds; where that jumps back, it goes on at the pace of the monotonic clock.

    So no pause lasts longer because an operator, or a time server, has set the clock back.  Until the wall clock has
    caught up, or the process is started again, it is ahead by the length of the jump.
    """

    wall_ns: Callable[[], int]
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    _told: TimeNs = NO_TIME
    _told_at: int = field(default=0)

    def __call__(self) -> TimeNs:
        """Return the time."""
        now = self.monotonic_ns()
        self._told = TimeNs(max(self.wall_ns(), self._told + now - self._told_at if self._told else 0))
        self._told_at = now
        return self._told
