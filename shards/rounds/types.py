"""Rounds as a shard knows them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final

from aggregation.payload import blob_count
from aggregation.weights import WeightRule, parse_rule

if TYPE_CHECKING:
    from wire.gradchain.fl.v1 import packet_pb2

_ROUND_ID: Final = struct.Struct(">QQI")
_PROGRESS: Final = struct.Struct(">BII")


@dataclass(frozen=True, slots=True, order=True)
class RoundId:
    """Which try of which round of which task."""

    task: int
    number: int
    attempt: int

    def encode(self) -> bytes:
        """Return twenty bytes that sort as the numbers do."""
        return _ROUND_ID.pack(self.task, self.number, self.attempt)

    @classmethod
    def decode(cls, encoded: bytes) -> RoundId:
        """Return the id of bytes that `encode` made."""
        return cls(*_ROUND_ID.unpack(encoded))

    def __str__(self) -> str:
        return f"{self.task}/{self.number}/{self.attempt}"


@unique
class RoundStatus(IntEnum):
    """How far a round has come on this shard."""

    OPEN = 1
    """Takes updates."""
    CLOSED = 2
    """Its checkpoint is made and waits to be sent."""
    CHECKPOINTED = 3
    """Its checkpoint is sent, or can no longer be."""
    PRUNED = 4
    """Its payloads and its checkpoint's body are gone."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round as the hub opened it; never changes."""

    round_id: RoundId
    spec_digest: bytes
    base_root: bytes
    scale: int
    """k: one unit of an update is 2^-k."""
    unit_weight: int
    """Weight of a full update."""
    rule: WeightRule
    parameters: int
    """d: coordinates of an update."""
    assigned: int
    """Participants assigned to this shard."""
    assignment_root: bytes
    seed: bytes
    close_time_ns: int
    """Block time of this shard from which no update is taken, Unix nanoseconds."""
    deadline_ns: int
    """Block time of the hub from which a checkpoint is late, Unix nanoseconds."""

    @property
    def blobs(self) -> int:
        """How many blobs an update has."""
        return blob_count(self.parameters)

    @classmethod
    def from_wire(cls, opened: packet_pb2.RoundOpened) -> Round:
        """Return the round of a packet, with its values as they are: `check_round` judges them.

        Raises:
          UnknownRuleError: the rule is none that this version knows.

        """
        return cls(
            round_id=RoundId(opened.task, opened.round, opened.attempt),
            spec_digest=opened.spec_digest,
            base_root=opened.base_root,
            scale=opened.scale,
            unit_weight=opened.unit_weight,
            rule=parse_rule(opened.rule),
            parameters=opened.parameters,
            assigned=opened.assigned,
            assignment_root=opened.assignment_root,
            seed=opened.seed,
            close_time_ns=opened.close_time_ns,
            deadline_ns=opened.deadline_ns,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """What of a round changes."""

    status: RoundStatus = RoundStatus.OPEN
    accepted: int = 0
    """Updates that count."""
    spent: int = 0
    """Participants whose update was a lie, so that none of theirs can count any more."""

    def encode(self) -> bytes:
        """Return the bytes of the record."""
        return _PROGRESS.pack(self.status, self.accepted, self.spent)

    @classmethod
    def decode(cls, encoded: bytes) -> Progress:
        """Return the progress of bytes that `encode` made."""
        status, accepted, spent = _PROGRESS.unpack(encoded)
        return cls(RoundStatus(status), accepted, spent)
