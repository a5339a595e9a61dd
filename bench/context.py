"""What every row is given."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.demorun import DemoRun, run_demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(slots=True)
class BenchContext:
    """A run of the benchmarks, as its rows see it."""

    directory: Path
    """Below it everything is written: chains, logs, results."""
    quick: bool
    """Smaller counts: a few minutes for all rows, and rougher figures."""
    say: Callable[[str], None]
    """Tells people what is going on."""
    _demos: dict[int, DemoRun] = field(default_factory=dict)

    def choose(self, full: int, quick: int) -> int:
        """Return a count."""
        return quick if self.quick else full

    def fresh_directory(self, name: str) -> Path:
        """Return an empty directory of that name."""
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def demo(self, validators: int) -> DemoRun:
        """Return what a run of the demo with so many validators a chain found out; it is run once for all rows.

        Raises:
          DemoFailed: it ended with an error.

        """
        if validators not in self._demos:
            self.say(f"running the demo with {validators} validators a chain")
            rounds = self.choose(6, 3)
            directory = self.fresh_directory(f"demo-{validators}")
            self._demos[validators] = run_demo(directory, validators, rounds)
        return self._demos[validators]
