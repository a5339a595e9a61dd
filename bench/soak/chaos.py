"""Kills by a schedule, and what became of each."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from abci_app.bound import bound_command
from abci_app.errors import EndpointUnreachable
from abci_app.process import send_group_signal
from abci_app.supervisor import child_environment, read_tail
from bench.children import end_child
from bench.errors import RelayerEnded
from bench.soak.schedule import PlannedKill, Victim
from bench.usage import MIB
from localnet.errors import NotRunning
from localnet.readiness import has_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localnet.network import Localnet
    from localnet.nodes import NodeHandle

SAMPLE_S: Final = 5.0
"""Between two looks at the relayer's memory."""
WARM_S: Final = 10.0
"""A process is not looked at before: it loads its code."""


@dataclass(frozen=True, slots=True)
class MemorySample:
    """How much memory a relayer had."""

    life: int
    """Number of its process, from 1."""
    at_s: float
    """Since the load began."""
    mib: float


@dataclass(slots=True)
class RelayerRunner:
    """The relayer as its users run it, started again and again on one journal."""

    config: Path
    lives: int = 0
    samples: list[MemorySample] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _next_sample_s: float = 0.0

    @property
    def log(self) -> Path:
        """Where all lives write."""
        return self.config.with_suffix(".log")

    def start(self) -> None:
        """Start it; call this from the main thread."""
        command = bound_command("cli.main", ["relayer", "start", "--config", str(self.config)])
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                process_group=0,
            )
        self.lives += 1
        self._next_sample_s = time.monotonic() + WARM_S

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            send_group_signal(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int | None:
        """Let it end by itself, and return its exit status; None if it does not run."""
        if self._process is None:
            return None
        end_child(self._process)
        status, self._process = self._process.returncode, None
        return status

    def check(self) -> None:
        """Check that it has not ended by itself.

        Raises:
          RelayerEnded: it has.

        """
        if self._process is not None and self._process.poll() is not None:
            raise RelayerEnded(
                f"expected the relayer to run, got exit status {self._process.returncode}:\n{read_tail(self.log)}"
            )

    def sample(self, at_s: float) -> None:
        """Take note of its memory, not too often."""
        if self._process is None or time.monotonic() < self._next_sample_s:
            return
        self._next_sample_s = time.monotonic() + SAMPLE_S
        try:
            resident = psutil.Process(self._process.pid).memory_info().rss
        except psutil.NoSuchProcess:
            return
        self.samples.append(MemorySample(self.lives, round(at_s, 1), round(resident / MIB, 2)))


@dataclass(slots=True)
class Fault:
    """A kill that was carried out.  Times are Unix nanoseconds; 0 if it has not come to that."""

    kill: PlannedKill
    killed_ns: int
    height: int = 0
    """Newest block that the node knew."""
    restarted_ns: int = 0
    recovered_ns: int = 0
    """When a node had a new block again; of the relayer the blocks tell it afterwards."""


@dataclass(slots=True)
class Chaos:
    """Carries out a schedule, one step at a time, from the main thread."""

    localnet: Localnet
    relayer: RelayerRunner
    plan: Sequence[PlannedKill]
    faults: list[Fault] = field(default_factory=list)
    begin_ns: int = field(default_factory=time.time_ns)
    """When the load began, Unix nanoseconds."""
    _begin: float = field(default_factory=time.monotonic)
    _done: int = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._begin

    @property
    def is_calm(self) -> bool:
        """Whether all that was killed is back."""
        return all(
            fault.restarted_ns and (fault.recovered_ns or fault.kill.victim is Victim.RELAYER)
            for fault in self.faults
        )

    def step(self) -> None:
        """Kill what is due, start what was away long enough, and see what has recovered."""
        self.relayer.check()
        for fault in self.faults:
            self._advance(fault)
        if self._done < len(self.plan) and self.plan[self._done].at_s <= self.elapsed_s:
            kill = self.plan[self._done]
            # What has not come back from its last death is killed when it has.
            if not any(
                fault.kill.victim is kill.victim and not self._is_back(fault) for fault in self.faults
            ):
                self._kill(kill)
        self.relayer.sample(self.elapsed_s)

    def finish(self) -> None:
        """Start everything that is still away, and kill nothing more."""
        self._done = len(self.plan)
        for fault in self.faults:
            if not fault.restarted_ns:
                self._restart(fault)

    def _is_back(self, fault: Fault) -> bool:
        return bool(fault.recovered_ns if fault.kill.node else fault.restarted_ns)

    def _kill(self, kill: PlannedKill) -> None:
        if kill.victim is Victim.RELAYER:
            self.relayer.kill()
            self.faults.append(Fault(kill, time.time_ns()))
            self._done += 1
            return
        height = _newest_height(self.localnet.node(kill.node))
        try:
            self.localnet.kill(kill.node, kill.process, signal.SIGKILL)
        except NotRunning:
            return  # one of its processes has just begun; the next step tries again
        self.localnet.stop_node(kill.node)
        self.faults.append(Fault(kill, time.time_ns(), height))
        self._done += 1

    def _advance(self, fault: Fault) -> None:
        now_ns = time.time_ns()
        if not fault.restarted_ns:
            if now_ns - fault.killed_ns >= fault.kill.down_s * 1e9:
                self._restart(fault)
        elif not fault.recovered_ns and fault.kill.node:
            node = self.localnet.node(fault.kill.node)
            if has_blocks(node, fault.height + 1):
                fault.recovered_ns = time.time_ns()

    def _restart(self, fault: Fault) -> None:
        if fault.kill.node:
            self.localnet.start_node(fault.kill.node)
        else:
            self.relayer.start()
        fault.restarted_ns = time.time_ns()


def _newest_height(node: NodeHandle) -> int:
    try:
        with node.open_rpc(timeout_s=2.0) as rpc:
            return rpc.status().height
    except EndpointUnreachable:
        return 0
