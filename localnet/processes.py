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

    from abci_app.process import ProcessId
    from localnet.nodes import NodeHandle


UsageKind = Literal["app", "comet", "supervisor", "nursery", "worker"]
"""`nursery`: where the supervisor's apps come from; `worker`: a process that an app started for itself."""


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """A running process."""

    pid: int
    kind: UsageKind
    node: str
    """Name of the node; "" for what serves all of them."""
    resident_bytes: int
    """Memory in use, with what is shared counted in every process."""
    unique_bytes: int
    """Memory that would come free if this process ended."""
    cpu_seconds: float
    """Processor time since its start."""


def list_processes(nodes: Iterable[NodeHandle], supervisor_pid_file: Path) -> list[ProcessUsage]:
    """Return all running processes of a localnet."""
    found = _measure(read_pid_file(supervisor_pid_file), "supervisor", "", None)
    recorded: set[int] = set()
    for node in nodes:
        for kind in PROCESS_KINDS:
            identity = read_pid_file(node.home.pid_file(kind))
            recorded |= {identity.pid} if identity is not None else set()
            found += _measure(identity, kind, node.name, "worker" if kind == "app" else None)
    for item in list(found):
        if item.kind == "supervisor":
            found += [
                child for child in _measure_children(item.pid, "nursery", "") if child.pid not in recorded
            ]
    return found


def _measure(
    identity: ProcessId | None, kind: UsageKind, node: str, children: UsageKind | None
) -> list[ProcessUsage]:
    """Return the usage of a process, and of its children if they have a kind."""
    if identity is None:
        return []
    own = _usage(identity.pid, kind, node)
    if own is None:
        return []
    return [own, *(_measure_children(identity.pid, children, node) if children is not None else ())]


def _measure_children(pid: int, kind: UsageKind, node: str) -> list[ProcessUsage]:
    try:
        children = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    usages = [_usage(child.pid, kind, node) for child in children]
    return [usage for usage in usages if usage is not None]


def _usage(pid: int, kind: UsageKind, node: str) -> ProcessUsage | None:
    """Return what a process uses, or None if it has ended."""
    try:
        process = psutil.Process(pid)
        memory, times = process.memory_full_info(), process.cpu_times()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None
    return ProcessUsage(pid, kind, node, memory.rss, memory.uss, times.user + times.system)
