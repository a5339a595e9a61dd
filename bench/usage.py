"""Processor time and memory of processes that a benchmark has started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one kind have used."""

    cpu_seconds: float
    """Of all together, since their start."""
    largest_mib: float
    """Resident memory of the largest."""


def measure_usage(processes: Mapping[str, Iterable[int]]) -> dict[str, Usage]:
    """Return the usage by kind; `processes` holds the ids of each kind.  Those that have ended count for nothing."""
    found: dict[str, Usage] = {}
    for kind, pids in processes.items():
        seconds, largest = 0.0, 0.0
        for pid in pids:
            try:
                process = psutil.Process(pid)
                times = process.cpu_times()
                seconds += times.user + times.system
                largest = max(largest, process.memory_info().rss / MIB)
            except psutil.Error:
                continue
        found[kind] = Usage(seconds, largest)
    return found
