"""Resident memory of each kind of process: idle on a linked network, and at its peak in a demo."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from abci_app.process import spawn
from abci_app.supervisor import child_environment
from bench.children import end_child
from bench.figures import Aim, Line, Relation, summarise
from bench.networks import build_network
from bench.usage import MIB, measure_usage
from localnet.network import Localnet
from localnet.relay import write_relayer_config
from relayer.config import load_config
from relayer.service import link_chains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.context import BenchContext

ROW: Final = "memory"
SETTLE_S: Final = 5.0
SAMPLES: Final = 3
APP_AIM: Final = Aim(Relation.AT_MOST, 200e6 / MIB, of_ratio=False)
NO_TORCH_AIM: Final = Aim(Relation.AT_MOST, 0, of_ratio=False)
NAMES: Final = {
    "app": "a node's app",
    "comet": "a node's CometBFT",
    "supervisor": "the supervisor of all nodes",
    "nursery": "what a localnet's apps are forked from",
    "worker": "what an app started for itself",
    "relayer": "the relayer",
    "participants": "a process of participants",
    "demo": "the demo itself",
}


def run(context: BenchContext) -> list[Line]:
    """Measure with one validator a chain."""
    idle, with_torch = _measure_idle(context)
    lines = []
    for kind, name in NAMES.items():
        if kind in idle:
            aim = APP_AIM if kind == "app" else None
            lines.append(Line(ROW, f"{name}, idle", summarise(idle[kind], "MiB"), aim=aim))
    busy = {found.kind: found.mib for found in context.demo(1).memory}
    for kind, name in NAMES.items():
        if kind in busy:
            note = ("trains with torch",) if kind in ("participants", "demo") else ()
            lines.append(Line(ROW, f"{name}, in a demo", summarise([busy[kind]], "MiB"), notes=note))
    lines.append(Line(ROW, "node processes with torch", summarise([with_torch], ""), aim=NO_TORCH_AIM))
    return lines


def _measure_idle(context: BenchContext) -> tuple[dict[str, list[float]], float]:
    """Return samples of the largest process of each kind, and how many processes of nodes have loaded torch."""
    context.say(f"{ROW}: a linked network that has nothing to do")
    directory = context.fresh_directory(ROW)
    localnet = Localnet.create(build_network(1), directory / "chains")
    samples: dict[str, list[float]] = {}
    try:
        localnet.start(detach=False)
        localnet.wait_ready()
        config = write_relayer_config(localnet, directory / "relayer")
        asyncio.run(link_chains(load_config(config)))
        with _running_relayer(config) as relayer_pid:
            for _ in range(SAMPLES):
                time.sleep(SETTLE_S)
                processes = localnet.processes()
                pids = {kind: [found.pid for found in processes if found.kind == kind] for kind in NAMES}
                for kind, usage in measure_usage(pids | {"relayer": [relayer_pid]}).items():
                    if usage.largest_mib > 0:
                        samples.setdefault(kind, []).append(usage.largest_mib)
            with_torch = sum(has_torch(found.pid) for found in localnet.processes())
    finally:
        localnet.stop()
    return samples, float(with_torch)


@contextmanager
def _running_relayer(config: Path) -> Iterator[int]:
    arguments = ["-m", "cli.main", "relayer", "start", "--config", str(config)]
    process = spawn([sys.executable, *arguments], child_environment(), config.parent / "relayer.log")
    try:
        yield process.pid
    finally:
        end_child(process)


def has_torch(pid: int) -> bool:
    """Tell whether a process has torch's libraries in its memory, where the system tells it (/proc)."""
    try:
        mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(is_torch(line) for line in mapped)


def is_torch(mapping: str) -> bool:
    """Tell whether a line of a process's memory map names a library of torch."""
    return "libtorch" in mapping.rpartition("/")[2]
