"""Checkpoints as a shard makes and keeps them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wire.gradchain.fl.v1 import packet_pb2

BODY_PART_BYTES: Final = 65_536
"""Bytes of a part of a body; only the last one may be shorter."""

_DELIVERY: Final = struct.Struct(">BQQ")


@unique
class DeliveryStatus(IntEnum):
    """What became of a checkpoint's packet."""

    WAITING = 1
    """Not sent yet: the client of the hub is expired or frozen."""
    SENT = 2
    ACKNOWLEDGED = 3
    """The hub has the header."""
    REFUSED = 4
    """The hub answered with an error.  Final."""
    TIMED_OUT = 5
    """The hub proved not to have received it in time.  Final."""
    UNSENT = 6
    """The time for sending was over before the client worked again.  Final."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a checkpoint stands on its way to the hub."""

    status: DeliveryStatus
    height: int
    """Of the block that made the checkpoint."""
    sequence: int = 0
    """Of the packet; 0 while it is not sent."""

    def encode(self) -> bytes:
        """Return the bytes of the record."""
        return _DELIVERY.pack(self.status, self.height, self.sequence)

    @classmethod
    def decode(cls, encoded: bytes) -> Delivery:
        """Return the delivery of bytes that `encode` made."""
        status, height, sequence = _DELIVERY.unpack(encoded)
        return cls(DeliveryStatus(status), height, sequence)


@dataclass(frozen=True, slots=True)
class BuiltCheckpoint:
    """The result of a round: what travels as a packet, and what is checked against it."""

    header: packet_pb2.Checkpoint
    parts: tuple[bytes, ...]
    """The body, cut; none without updates."""
