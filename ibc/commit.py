"""Commits: the votes that made a block final, one slot for each validator.

Source: CometBFT `types/block.go` (Commit and CommitSig, ValidateBasic).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ibc.errors import MalformedCommit
from ibc.header import BlockId, block_id_from_wire
from ibc.times import GO_ZERO_TIME_NS, time_from_wire
from ibc.validators import ADDRESS_BYTES
from wire.tendermint.types import validator_pb2

if TYPE_CHECKING:
    from wire.tendermint.types import types_pb2

MAX_SLOTS: Final = 10_000
"""More votes than CometBFT ever counts (types/vote_set.go, MaxVotesCount).  An absent vote takes four bytes, so a
transaction could hold a million of them, each of which would be looked at before anything of the header is known."""

MAX_SIGNATURE_BYTES: Final = 96
"""The longest signature of any key type of CometBFT."""


@dataclass(frozen=True, slots=True)
class Vote:
    """A validator's signed vote for the block of the commit."""

    address: bytes
    time_ns: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """A well-formed commit."""

    height: int
    round_number: int
    block_id: BlockId
    slots: tuple[Vote | None, ...]
    """In the order of the validator set; None where there is no vote for the block.  Such votes never count."""


def commit_from_wire(message: types_pb2.Commit) -> Commit:
    """Return the commit of a message.

    Raises:
      MalformedCommit: there is no block, no vote for it, a vote with wrong or missing fields, or too many votes.
      MalformedHeader: a hash in the block id has the wrong size.
      MalformedTime: the time of a vote is out of range.

    """
    if message.height < 1 or message.round < 0:
        raise MalformedCommit(
            f"expected a height from 1 and a round from 0, got {message.height} and {message.round}"
        )
    if len(message.signatures) > MAX_SLOTS:
        raise MalformedCommit(f"expected at most {MAX_SLOTS} slots, got {len(message.signatures)}")
    block_id = block_id_from_wire(message.block_id)
    if not block_id.hash:
        raise MalformedCommit("expected a commit for a block, got one for none")
    slots = tuple(_slot_from_wire(slot) for slot in message.signatures)
    # CometBFT asks for one slot of any kind; one vote for the block is needed for any verdict but a refusal
    # (informalsystems/tendermint-rs#650).
    if all(slot is None for slot in slots):
        raise MalformedCommit(f"expected a vote for the block, got none in {len(slots)} slots")
    return Commit(message.height, message.round, block_id, slots)


def _slot_from_wire(slot: types_pb2.CommitSig) -> Vote | None:
    flag = slot.block_id_flag
    if flag == validator_pb2.BLOCK_ID_FLAG_ABSENT:
        time_ns = time_from_wire(slot.timestamp) if slot.HasField("timestamp") else GO_ZERO_TIME_NS
        if slot.validator_address or slot.signature or time_ns != GO_ZERO_TIME_NS:
            raise MalformedCommit(
                "expected nothing in the slot of an absent vote, got address, time or signature"
            )
        return None
    if flag not in (validator_pb2.BLOCK_ID_FLAG_COMMIT, validator_pb2.BLOCK_ID_FLAG_NIL):
        raise MalformedCommit(f"expected a vote that is absent, for the block or for none, got flag {flag}")
    if len(slot.validator_address) != ADDRESS_BYTES:
        raise MalformedCommit(
            f"expected an address of {ADDRESS_BYTES} bytes, got {len(slot.validator_address)}"
        )
    if not 1 <= len(slot.signature) <= MAX_SIGNATURE_BYTES:
        raise MalformedCommit(
            f"expected a signature of 1 to {MAX_SIGNATURE_BYTES} bytes, got {len(slot.signature)}"
        )
    if not slot.HasField("timestamp"):
        raise MalformedCommit("expected a time in a vote, got none")
    time_ns = time_from_wire(slot.timestamp)
    if flag == validator_pb2.BLOCK_ID_FLAG_NIL:
        return None
    return Vote(slot.validator_address, time_ns, slot.signature)
