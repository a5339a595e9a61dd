"""Updates as a shard reads and keeps them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shards.rounds.types import RoundId
    from tx.errors import AppError
    from wire.gradchain.fl.v1 import update_pb2

_RECORD: Final = struct.Struct(">BQQ32s32s")


@dataclass(frozen=True, slots=True)
class Submission:
    """An update that somebody brings, with a well-formed statement; what follows from its bytes alone is known."""

    round_id: RoundId
    participant: bytes
    statement: update_pb2.UpdateStatement
    statement_bytes: bytes
    """What was signed, as received."""
    signature: bytes
    assignment: update_pb2.AssignmentProof
    payload: bytes
    payload_root: bytes
    """Of the payload that came with the statement, whatever the statement says."""
    is_signed: bool
    """Whether the participant signed the statement."""

    @property
    def is_authentic(self) -> bool:
        """Whether the participant signed the statement and the payload is the one that it names."""
        return self.is_signed and self.payload_root == self.statement.payload_root


@dataclass(frozen=True, slots=True)
class ReadUpdate:
    """An update as it was read: a submission, or why it is none."""

    claim: bytes
    found: Submission | AppError

    def require_submission(self) -> Submission:
        """Return the submission.

        Raises:
          AppError: why there is none.

        """
        if isinstance(self.found, Submission):
            return self.found
        # One object for every reading: what an earlier raise has left on it must not pile up.
        raise self.found.with_traceback(None)


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
