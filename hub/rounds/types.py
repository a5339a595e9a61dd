"""Records of rounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class RoundStatus(IntEnum):
    """Where an attempt of a round stands; the numbers are those of the public protocol."""

    OPEN = 1
    AGGREGATED = 2
    SETTLED = 3
    VOID = 4


class ShardStatus(IntEnum):
    """Where a shard stands in an attempt of a round; the numbers are those of the public protocol."""

    WAITING = 1
    """Nothing has arrived, and the deadline has not passed."""

    CHECKPOINTED = 2
    """The header has arrived; the body is still missing."""

    COMPLETE = 3
    """Header and body are verified."""

    LATE = 4
    """Verified after the deadline; waits to be folded into a later round."""

    MISSING = 5
    """The deadline has passed, or the shard could not be asked at all."""

    REJECTED = 6
    """The body matched its root and failed a check.  Final."""


FINAL_STATUSES = frozenset({ShardStatus.COMPLETE, ShardStatus.REJECTED, ShardStatus.MISSING})
"""Statuses in which a round that is open need not wait for the shard."""


@dataclass(frozen=True, slots=True, order=True)
class RoundId:
    """An attempt of a round."""

    task: int
    round: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What changes about an attempt of a round."""

    status: RoundStatus


@dataclass(frozen=True, slots=True)
class ShardRoundRecord:
    """What changes about a shard in an attempt of a round."""

    status: ShardStatus
    assigned: int
    """Participants assigned to the shard."""

    header: bytes
    """Canonical encoding of the checkpoint's header; empty before it has arrived."""

    parts: int
    """Parts of the body that are there."""

    reject_codespace: str
    reject_code: int
    """Why the body was rejected; empty and 0 if it was not."""

    folded_in: int
    """The round into whose model step the shard's aggregate went; 0 if into none."""


@dataclass(frozen=True, slots=True)
class TallyEntry:
    """What a verified certificate says that counts after verification."""

    participant: bytes
    weight: int
    clipped: int
    large: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The certificates of a verified body, in batch order."""

    entries: tuple[TallyEntry, ...]
