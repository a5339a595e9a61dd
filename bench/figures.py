"""What a benchmark finds out: figures, lines of the table, and whether an aim is met."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING

from bench.errors import NothingMeasured

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity: the median of its samples."""

    value: float
    unit: str
    samples: tuple[float, ...]
    """In the order in which they were taken."""


class Relation(Enum):
    """On which side of a bound a good figure lies."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a line should reach."""

    relation: Relation
    bound: float
    of_ratio: bool = True
    """The bound is one of the ratio; otherwise of our own figure, in its unit."""

    def is_met(self, found: float) -> bool:
        """Tell whether a figure lies on the good side; the bound itself does."""
        return found >= self.bound if self.relation is Relation.AT_LEAST else found <= self.bound


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a case of a row, beside its yardstick."""

    row: str
    """Name of the row, as on the command line."""
    case: str
    """What was measured."""
    ours: Figure
    yardstick: Figure | None = None
    yardstick_name: str = ""
    aim: Aim | None = None
    """None: the figure is reported, nothing is promised."""
    notes: tuple[str, ...] = ()
    """What helps to read the figure, a sentence each."""

    @property
    def ratio(self) -> float | None:
        """Ours divided by the yardstick; None without one."""
        return None if self.yardstick is None else divide(self.ours.value, self.yardstick.value)

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if self.aim is None:
            return None
        found = self.ratio if self.aim.of_ratio else self.ours.value
        return found is not None and self.aim.is_met(found)


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of a row."""

    row: str
    title: str
    seconds: float
    """How long all of it took, set-up included."""
    lines: tuple[Line, ...] = ()
    error: str = ""
    """Why it failed; "" if it did not."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something about the machine, for people."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Report:
    """A run of the benchmarks."""

    started: str
    """Date and time, UTC, ISO 8601."""
    quick: bool
    machine: tuple[Fact, ...]
    outcomes: tuple[RowOutcome, ...] = field(default=())

    @property
    def failed(self) -> tuple[RowOutcome, ...]:
        """Rows that could not be measured."""
        return tuple(outcome for outcome in self.outcomes if outcome.error)


def summarise(samples: Sequence[float], unit: str) -> Figure:
    """Return the figure of some samples.

    Raises:
      NothingMeasured: there are none.

    """
    if not samples:
        raise NothingMeasured(f"expected at least one sample in {unit}, got none")
    return Figure(median(samples), unit, tuple(samples))


def find_percentile(samples: Sequence[float], percent: int) -> float:
    """Return the smallest sample that `percent` (1 to 100) of all samples do not exceed, by the nearest rank.

    Raises:
      NothingMeasured: there are none.

    """
    if not samples:
        raise NothingMeasured("expected at least one sample for a percentile, got none")
    rank = -(-len(samples) * percent // 100)
    return sorted(samples)[rank - 1]


def divide(ours: float, yardstick: float) -> float:
    """Return the ratio of two figures.

    Raises:
      NothingMeasured: the yardstick is not positive, so that no ratio means anything.

    """
    if yardstick <= 0:
        raise NothingMeasured(f"expected a positive yardstick, got {yardstick:g}")
    return ours / yardstick
