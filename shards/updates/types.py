"""Updates as a shard reads and keeps them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, unique
from functools import cached_property
from typing import TYPE_CHECKING, Final

from aggregation.payload import payload_root
from tx.failures import InvalidSignature
from tx.keys import verify_signature
from tx.statements import statement_digest

if TYPE_CHECKING:
    from shards.rounds.types import RoundId
    from wire.gradchain.fl.v1 import update_pb2

_RECORD: Final = struct.Struct(">BQQ32s32s")


@dataclass(frozen=True)
class Submission:
    """An update that somebody brings, with a well-formed statement.

    What follows from its bytes alone but costs something is found out when it is first asked for, and kept.
    """

    round_id: RoundId
    participant: bytes
    statement: update_pb2.UpdateStatement
    statement_bytes: bytes
    """What was signed, as received."""
    signature: bytes
    assignment: update_pb2.AssignmentProof
    payload: bytes

    @cached_property
    def payload_root(self) -> bytes:
        """Root of the payload that came with the statement, whatever the statement says."""
        return payload_root(self.payload)

    @cached_property
    def is_signed(self) -> bool:
        """Whether the participant signed the statement."""
        try:
            verify_signature(self.participant, statement_digest(self.statement_bytes), self.signature)
        except InvalidSignature:
            return False
        return True

    @property
    def is_authentic(self) -> bool:
        """Whether the participant signed the statement and the payload is the one that it names."""
        return self.is_signed and self.payload_root == self.statement.payload_root


@unique
class SlotUse(IntEnum):
    """What a participant's one slot in a round was used for."""

    ACCEPTED = 1
    """An update that counts."""
    SPENT = 2
    """A statement that was untrue; kept as evidence."""


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """What is kept of an update even after its round is settled."""

    use: SlotUse
    height: int
    """Of the block that took it."""
    payload_bytes: int
    statement_digest: bytes
    """sha256 of the statement's bytes."""
    payload_digest: bytes
    """sha256 of the payload: its name in the round's segment."""

    def encode(self) -> bytes:
        """Return the bytes of the record."""
        return _RECORD.pack(
            self.use, self.height, self.payload_bytes, self.statement_digest, self.payload_digest
        )

    @classmethod
    def decode(cls, encoded: bytes) -> UpdateRecord:
        """Return the record of bytes that `encode` made."""
        use, height, payload_bytes, statement_digest, payload_digest = _RECORD.unpack(encoded)
        return cls(SlotUse(use), height, payload_bytes, statement_digest, payload_digest)
