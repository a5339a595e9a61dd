"""What a soak of the link has found: values that become a table, JSON and a page of the docs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.figures import Fact
    from bench.soak.chaos import MemorySample


@dataclass(frozen=True, slots=True)
class SoakCheck:
    """Something that must hold at the end."""

    name: str
    expected: str
    got: str

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.expected == self.got


@dataclass(frozen=True, slots=True)
class Latency:
    """Blocks of the receiving chain from the sending of a packet to its receipt; 1 is the next block."""

    p50: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Direction:
    """The packets from one chain to another."""

    source: str
    destination: str
    asked: int
    """In transactions that were executed."""
    sent: int
    received: int
    acknowledged: int
    timed_out: int
    receipts: int
    """In the state of the destination."""
    acknowledgements: int
    """The same."""
    open: int
    """Commitments left in the state of the source."""
    repeated: int
    """Messages about packets in blocks after a first one about the same."""
    failed: int
    """Transactions with relayed messages that blocks of the destination hold as failed."""
    latency: Latency | None
    """None if nothing was received."""


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A kill and what became of it; seconds since the load began."""

    victim: str
    node: str
    process: str
    at_s: float
    down_s: float
    """From the kill to the start."""
    recovered_s: float
    """From the start to a new block of the node, or to the first packet that the relayer moved."""
    relayed: int
    """Packets to or from its chain, of the relayer all, received or ended while it was away."""


@dataclass(frozen=True, slots=True)
class SoakRecord:
    """Everything."""

    started: str
    """Date and time, UTC, ISO 8601."""
    seed: int
    load_s: float
    """How long packets were sent."""
    drain_s: float
    """From the last packet until none was open."""
    rate: float
    """Packets a second that were sent."""
    block_ms: dict[str, float]
    """Mean time between two blocks of each chain."""
    nodes: tuple[str, ...]
    machine: tuple[Fact, ...]
    directions: tuple[Direction, ...]
    faults: tuple[FaultRecord, ...]
    relayer_warnings: dict[str, int]
    """Lines of the relayer's log at the level of warnings, by their event."""
    memory: tuple[MemorySample, ...]
    checks: tuple[SoakCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return all(check.passed for check in self.checks)

    @property
    def last_life(self) -> tuple[MemorySample, ...]:
        """Memory of the relayer's last process."""
        return tuple(sample for sample in self.memory if sample.life == self.memory[-1].life)
