"""What runs of a localnet, and what it uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psutil

from abci_app.process import read_pid_file
from abci_app.supervisor import PROCESS_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from localnet.nodes import NodeHandle


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """A running process."""

    pid: int
    kind: Literal["app", "comet", "supervisor", "worker"]
    """`worker`: a process that an app started for itself."""
    node: str
    """Name of the node; "" for the supervisor of all."""
    resident_bytes: int
    """Memory in use, with what is shared counted in every process."""
    unique_bytes: int
    """Memory that would come free if this process ended."""
    cpu_seconds: float
    """Processor time since its start."""


def list_processes(nodes: Iterable[NodeHandle], supervisor_pid_file: Path) -> list[ProcessUsage]:
    """Return all running processes of a localnet."""
    found = _measure(supervisor_pid_file, "supervisor", "")
    for node in nodes:
        for kind in PROCESS_KINDS:
            found += _measure(node.home.pid_file(kind), kind, node.name)
    return found


def _measure(pid_file: Path, kind: Literal["app", "comet", "supervisor"], node: str) -> list[ProcessUsage]:
    identity = read_pid_file(pid_file)
    if identity is None:
        return []
    try:
        process = psutil.Process(identity.pid)
        workers = process.children(recursive=True) if kind == "app" else []
        measured = [_usage(process, kind, node)]
    except psutil.Error:
        return []
    for worker in workers:
        try:
            measured.append(_usage(worker, "worker", node))
        except psutil.Error:
            continue
    return measured


def _usage(
    process: psutil.Process, kind: Literal["app", "comet", "supervisor", "worker"], node: str
) -> ProcessUsage:
    memory = process.memory_full_info()
    times = process.cpu_times()
    return ProcessUsage(process.pid, kind, node, memory.rss, memory.uss, times.user + times.system)
