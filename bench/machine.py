"""Facts about the machine that a figure means nothing without."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

import psutil

from abci_app.comet_binary import require_cometbft
from bench.figures import Fact

_CPU_INFO: Final = Path("/proc/cpuinfo")
_GIB: Final = 1 << 30


def list_facts() -> tuple[Fact, ...]:
    """Return the facts, for people."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        Fact("processor", f"{processor_name()}, {os.cpu_count()} logical cores"),
        Fact("memory", f"{psutil.virtual_memory().total / _GIB:.1f} GiB"),
        Fact("system", f"{platform.system()} {platform.release()}"),
        Fact("Python", platform.python_version()),
        Fact("CometBFT", require_cometbft().version),
        Fact("load at the start", f"{load} (1, 5, 15 minutes)"),
    )


def processor_name() -> str:
    """Return the name of the processor, as far as the system tells it."""
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
