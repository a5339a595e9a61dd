"""A start in named steps, so that whoever waits sees what for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One step; its action raises an `AppError` if it fails."""

    title: str
    action: Callable[[], None]


@dataclass(frozen=True, slots=True)
class StageDone:
    """A step that has succeeded."""

    title: str
    seconds: float


StageReport = Callable[[StageDone], None]
"""Is told of every step that has succeeded."""


def run_stages(
    stages: Sequence[Stage], report: StageReport | None = None, clock: Callable[[], float] = time.monotonic
) -> list[StageDone]:
    """Run steps in their order; the first failure ends it and propagates."""
    done = []
    for stage in stages:
        started = clock()
        stage.action()
        finished = StageDone(stage.title, clock() - started)
        done.append(finished)
        if report is not None:
            report(finished)
    return done
