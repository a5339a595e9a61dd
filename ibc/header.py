"""Hashes of headers and the bytes that validators sign.

Source: CometBFT `types/block.go` (Header.Hash), `types/canonical.go` and `types/vote.go` (VoteSignBytes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ibc.errors import MalformedHeader
from ibc.protowire import bytes_field, encode_uvarint, message_field, sfixed64_field, varint_field
from ibc.rfc6962 import merkle_root
from ibc.times import encode_time, time_from_wire
from ibc.validators import ADDRESS_BYTES

if TYPE_CHECKING:
    from wire.tendermint.types import types_pb2

HASH_BYTES: Final = 32
BLOCK_PROTOCOL: Final = 11
"""The block format of CometBFT 0.34 to 0.40, whose hash is computed here."""

_PRECOMMIT = 2


@dataclass(frozen=True, slots=True)
class BlockId:
    """Names a block: its header's hash, and how it was cut into parts."""

    hash: bytes
    parts_total: int
    parts_hash: bytes


def block_id_from_wire(block_id: types_pb2.BlockID) -> BlockId:
    """Return the block id of a message; a missing one is empty.

    Raises:
      MalformedHeader: a hash has neither 32 bytes nor none.

    """
    parts = block_id.part_set_header
    for name, value in (("block hash", block_id.hash), ("parts hash", parts.hash)):
        if len(value) not in (0, HASH_BYTES):
            raise MalformedHeader(f"expected a {name} of {HASH_BYTES} bytes or none, got {len(value)}")
    return BlockId(block_id.hash, parts.total, parts.hash)


def encode_block_id(block_id: BlockId) -> bytes:
    """Return the encoding of a block id, the same in headers and in votes; the parts are always written."""
    parts = varint_field(1, block_id.parts_total) + bytes_field(2, block_id.parts_hash)
    return bytes_field(1, block_id.hash) + message_field(2, parts)


def check_header(header: types_pb2.Header) -> None:
    """Check the fields of a header by themselves, as CometBFT's `Header.ValidateBasic` does.

    Raises:
      MalformedHeader: a field is missing or has the wrong size.
      MalformedTime: the time is out of range.

    """
    if header.version.block != BLOCK_PROTOCOL:
        raise MalformedHeader(f"expected block protocol {BLOCK_PROTOCOL}, got {header.version.block}")
    if header.height < 1:
        raise MalformedHeader(f"expected a height from 1, got {header.height}")
    if not header.HasField("time"):
        raise MalformedHeader("expected a time, got none")
    time_from_wire(header.time)
    block_id_from_wire(header.last_block_id)
    for name, value in (
        ("last commit hash", header.last_commit_hash),
        ("data hash", header.data_hash),
        ("consensus hash", header.consensus_hash),
        ("last results hash", header.last_results_hash),
        ("evidence hash", header.evidence_hash),
    ):
        if len(value) not in (0, HASH_BYTES):
            raise MalformedHeader(f"expected a {name} of {HASH_BYTES} bytes or none, got {len(value)}")
    for name, value, size in (
        ("validators hash", header.validators_hash, HASH_BYTES),
        ("next validators hash", header.next_validators_hash, HASH_BYTES),
        ("proposer address", header.proposer_address, ADDRESS_BYTES),
    ):
        if len(value) != size:
            raise MalformedHeader(f"expected a {name} of {size} bytes, got {len(value)}")


def header_hash(header: types_pb2.Header) -> bytes:
    """Return the hash of a header that `check_header` accepts: the root over its 14 fields."""
    version = varint_field(1, header.version.block) + varint_field(2, header.version.app)
    return merkle_root(
        (
            version,
            bytes_field(1, header.chain_id.encode()),
            varint_field(1, header.height),
            encode_time(time_from_wire(header.time)),
            encode_block_id(block_id_from_wire(header.last_block_id)),
            bytes_field(1, header.last_commit_hash),
            bytes_field(1, header.data_hash),
            bytes_field(1, header.validators_hash),
            bytes_field(1, header.next_validators_hash),
            bytes_field(1, header.consensus_hash),
            bytes_field(1, header.app_hash),
            bytes_field(1, header.last_results_hash),
            bytes_field(1, header.evidence_hash),
            bytes_field(1, header.proposer_address),
        )
    )


class VoteEncoder:
    """Makes the sign bytes of the precommits for one block, which differ in nothing but their times."""

    __slots__ = ("_after", "_before")

    def __init__(self, chain_id: str, height: int, round_number: int, block_id: BlockId | None) -> None:
        """Fix what the votes have in common; no block id stands for a vote for no block."""
        self._before = (
            varint_field(1, _PRECOMMIT)
            + sfixed64_field(2, height)
            + sfixed64_field(3, round_number)
            + (b"" if block_id is None else message_field(4, encode_block_id(block_id)))
        )
        self._after = bytes_field(6, chain_id.encode())

    def sign_bytes(self, time_ns: int) -> bytes:
        """Return what a validator signs whose vote carries that time."""
        body = self._before + message_field(5, encode_time(time_ns)) + self._after
        return encode_uvarint(len(body)) + body
