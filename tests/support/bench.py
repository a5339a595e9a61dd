"""Rows for tests of the command, and lines for tests of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import LoadLost
from bench.figures import Aim, Fact, Line, Relation, Report, RowOutcome, summarise

if TYPE_CHECKING:
    from bench.context import BenchContext

AT_LEAST_HALF = Aim(Relation.AT_LEAST, 0.5)


def build_line(ours: float = 30.0, yardstick: float | None = 50.0, aim: Aim | None = AT_LEAST_HALF) -> Line:
    """Return a line; without a yardstick if there is none."""
    return Line(
        row="speed",
        case="some | case",
        ours=summarise([ours - 1, ours, ours + 5], "tx/s"),
        yardstick=None if yardstick is None else summarise([yardstick], "tx/s"),
        yardstick_name="" if yardstick is None else "another chain",
        aim=aim,
        notes=("measured with care",),
    )


def build_report(*lines: Line, error: str = "") -> Report:
    """Return a report of one row."""
    outcome = RowOutcome("speed", "how fast", 1.25, lines, error)
    return Report("2026-01-02T03:04+00:00", True, (Fact("processor", "one"),), (outcome,))


def run_good_row(context: BenchContext) -> list[Line]:
    """Measure something without doing anything."""
    context.say("measuring")
    return [build_line()]


def run_failing_row(_context: BenchContext) -> list[Line]:
    """Fail as rows are expected to fail."""
    raise LoadLost("expected 3 updates, got 2")


def run_broken_row(_context: BenchContext) -> list[Line]:
    """Fail as no row should."""
    raise KeyError("oops")
