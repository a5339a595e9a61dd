"""What tests of Merkle proofs share."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from ibc.protowire import encode_uvarint

if TYPE_CHECKING:
    from wire.cosmos.ics23.v1 import proofs_pb2


def fold(proof: proofs_pb2.ExistenceProof) -> bytes:
    """Return the root that a proof leads to, whatever its nodes look like."""
    value_hash = sha256(proof.value).digest()
    parts = (proof.key, value_hash)
    result = sha256(proof.leaf.prefix + b"".join(encode_uvarint(len(part)) + part for part in parts)).digest()
    for node in proof.path:
        result = sha256(node.prefix + result + node.suffix).digest()
    return result
