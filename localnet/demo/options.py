"""What a run of the demo is told, and what it finds out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

BUDGET: Final = 1_200_000
"""Tokens of the demo's task, in base units."""

RELAY_FEE: Final = 100
"""Tokens that the hub pays for each packet of a round to whoever delivers it first."""

LEARNING_RATE: Final = "0.2"
EPOCHS: Final = 3
BATCH_SIZE: Final = 32

ROUND_SECONDS: Final = 120
"""Deadline of a round.  A round ends as soon as all have delivered, so this only bounds how long a fault can last."""


class Tamper(Enum):
    """The place in which the demo plants a fault on purpose."""

    HEADER = "header"
    PROOF = "proof"
    BODY = "body"
    SUM = "sum"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a run of the demo is told."""

    directory: Path
    """Where chains, participants, logs and results are kept."""
    shards: int = 2
    validators: int = 4
    """A chain."""
    participants: int = 8
    rounds: int = 12
    seed: int = 1
    tamper: Tamper | None = None
    chaos: bool = False
    """Kill the relayer and a validator while work is pending."""
    workers: int = 2
    """Processes over which the participants are spread."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One finished round."""

    number: int
    attempt: int
    accuracy: float
    """Of the hub's model on the test set, in percent."""
    updates: int
    hub_height: int
    shard_heights: tuple[int, ...]
    """Heights of the blocks that hold the checkpoints, in the order of the shards."""
    update_bytes: int
    """Payloads of all updates."""
    paid: int
    """To participants."""
    relay_paid: int
    """To the relayer."""
    seconds: float
    model_root: str


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was verified, or was not."""

    name: str
    by: str
    """Who verified it: hub, shards, relayer, participants, or the demo's own audit."""
    count: int
    passed: bool
    detail: str = ""


@dataclass(slots=True)
class DemoResult:
    """Everything that the summary and the JSON say."""

    options: dict[str, object]
    rows: list[RoundRow] = field(default_factory=list)
    baselines: dict[str, list[float]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    balances_before: dict[str, int] = field(default_factory=dict)
    balances_after: dict[str, int] = field(default_factory=dict)
    relay_pay: dict[str, int] = field(default_factory=dict)
    """Packets that the relayer was paid for, and what it got for them."""
    model: dict[str, object] = field(default_factory=dict)
    """Root of the final model and the header that proves it."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds of each stage."""
    updates: list[dict[str, object]] = field(default_factory=list)
    """What participants reported of each update: round, bytes, seconds to train, prepare and submit it."""
    refused: list[dict[str, object]] = field(default_factory=list)
    """What they reported of each update that they gave up: participant, round, and the reason."""
    memory_peak_mib: dict[str, float] = field(default_factory=dict)
    """Peak resident memory of one process of each kind."""
    memory_total_mib: float = 0.0
    """Peak of the sum over all processes; pages that several share are counted in each."""
    tamper: dict[str, object] = field(default_factory=dict)
    kills: list[dict[str, object]] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
