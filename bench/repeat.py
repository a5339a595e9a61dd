"""Take samples of several things in turn, so that whatever else the machine does falls on all of them."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Case:
    """Something whose time is taken."""

    name: str
    run: Callable[[], object]


def time_once(run: Callable[[], object], clock: Clock) -> float:
    """Return the seconds that a call takes.  Garbage of earlier calls is not collected at its cost."""
    gc.collect()
    gc.disable()
    try:
        begin = clock()
        run()
        return clock() - begin
    finally:
        gc.enable()


def time_in_turn(
    cases: Sequence[Case], repetitions: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Return the seconds of each case by its name: first all cases once without counting, then in turn.

    For arithmetic in this process the clock should be `time.process_time`: then it does not matter what else runs.
    """
    for case in cases:
        case.run()
    samples: dict[str, list[float]] = {case.name: [] for case in cases}
    for _ in range(repetitions):
        for case in cases:
            samples[case.name].append(time_once(case.run, clock))
    return samples
