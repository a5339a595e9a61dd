"""A relayer as a process of its own, and what it has used."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from abci_app.process import spawn
from abci_app.supervisor import child_environment
from bench.children import end_child
from bench.sampled_relayer import BUSY, LOOKS, WAIT
from bench.usage import MIB

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BREAKDOWN: Final = "breakdown.json"


@dataclass(slots=True)
class RelayerProcess:
    """One run of a relayer.  What it has used is known when it has ended."""

    process: subprocess.Popen[bytes]
    out: Path
    peak_mib: float = 0.0
    samples: Mapping[str, int] = field(default_factory=dict)
    """How often it was seen doing what, and how often it was looked at."""

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / MIB

    def used_s(self) -> float:
        """Processor time so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def shares(self) -> dict[str, float]:
        """Return the share of each part in the time in which it did something, the largest first; all are there."""
        busy = {part: self.samples.get(part, 0) for part in BUSY}
        total = sum(busy.values()) or 1
        return {part: count / total for part, count in sorted(busy.items(), key=lambda item: -item[1])}

    def waiting(self) -> float:
        """Return the share of its run in which its main thread waited."""
        return self.samples.get(WAIT, 0) / (self.samples.get(LOOKS, 0) or 1)


@contextmanager
def running_relayer(config: Path, name: str) -> Iterator[RelayerProcess]:
    """Run a relayer that samples itself, and end it; its log and its samples carry the name."""
    out = config.parent / f"{name}-{BREAKDOWN}"
    arguments = ["-m", "bench.sampled_relayer", "--config", str(config), "--out", str(out)]
    process = spawn([sys.executable, *arguments], child_environment(), config.parent / f"{name}.log")
    relayer = RelayerProcess(process, out)
    try:
        yield relayer
        relayer.peak_mib = relayer.rss_mib
    finally:
        end_child(process)
    relayer.samples = json.loads(out.read_text(encoding="utf-8"))
