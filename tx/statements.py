"""Update statements: what a participant signs, and what the hub checks again later.

A statement signs for itself: nothing of the transaction around it matters, so anyone may carry it, and the hub can
check it long after as part of a certificate.  Hence the bytes that were signed travel as they are, and are parsed
never encoded again.

The digest and the rules of the spec that a statement names are in `tx.specs`, and can be imported from here too.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tx.codec import decode_canonical, encode
from tx.domains import STATEMENT_SIGNATURE
from tx.failures import InvalidStatement
from tx.keys import PUBLIC_KEY_BYTES, verify_signature
from tx.limits import (
    BLOB_PARAMETERS,
    COMMITMENT_BYTES,
    HASH_BYTES,
    MAX_BLOBS,
    MAX_CHAIN_ID_BYTES,
    MAX_SCALE,
)
from tx.specs import check_spec, spec_digest
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from tx.keys import SigningKey

__all__ = [
    "check_spec",
    "check_statement",
    "sign_statement",
    "spec_digest",
    "statement_digest",
    "verify_statement",
]


def statement_digest(statement_bytes: bytes) -> bytes:
    """Return the 32-byte digest that the participant signs."""
    return sha256(STATEMENT_SIGNATURE + statement_bytes).digest()


def sign_statement(statement: update_pb2.UpdateStatement, key: SigningKey) -> update_pb2.SignedStatement:
    """Sign a statement with its participant's key.

    Raises:
      InvalidStatement: the key is not the participant's, or a field is not what `check_statement` accepts.

    """
    check_statement(statement)
    if statement.participant != key.public_key:
        raise InvalidStatement(
            f"expected the key of participant {statement.participant.hex()}, got {key.public_key.hex()}"
        )
    statement_bytes = encode(statement)
    return update_pb2.SignedStatement(
        statement=statement_bytes, signature=key.sign(statement_digest(statement_bytes))
    )


def verify_statement(signed: update_pb2.SignedStatement) -> update_pb2.UpdateStatement:
    """Return the statement after checking its form, its fields and its signature, cheapest first.

    Raises:
      MalformedEncoding, UnknownField, NonCanonicalEncoding: the bytes are no canonical statement.
      InvalidStatement: a field has a size or value that no valid update has.
      InvalidSignature: the participant did not sign these bytes.

    """
    statement = decode_canonical(update_pb2.UpdateStatement, signed.statement)
    check_statement(statement)
    verify_signature(statement.participant, statement_digest(signed.statement), signed.signature)
    return statement


def check_statement(statement: update_pb2.UpdateStatement) -> None:
    """Check every field of a statement that can be checked without state.

    Raises:
      InvalidStatement: names the field, what was expected and what was found.

    """
    _check_chain_id("hub_chain_id", statement.hub_chain_id)
    _check_chain_id("shard", statement.shard)
    _check_size("participant", statement.participant, PUBLIC_KEY_BYTES)
    _check_size("spec_digest", statement.spec_digest, HASH_BYTES)
    _check_size("base_root", statement.base_root, HASH_BYTES)
    _check_size("payload_root", statement.payload_root, HASH_BYTES)
    if statement.scale > MAX_SCALE:
        raise InvalidStatement(f"expected a scale up to {MAX_SCALE}, got {statement.scale}")
    blobs = len(statement.commitments)
    if not 1 <= blobs <= MAX_BLOBS:
        raise InvalidStatement(f"expected 1 to {MAX_BLOBS} commitments, got {blobs}")
    for index, commitment in enumerate(statement.commitments):
        _check_size(f"commitments[{index}]", commitment, COMMITMENT_BYTES)
    if not statement.clipped <= statement.large <= blobs * BLOB_PARAMETERS:
        raise InvalidStatement(
            f"expected clipped <= large <= {blobs * BLOB_PARAMETERS}, got {statement.clipped} and {statement.large}"
        )


def _check_size(field: str, value: bytes, expected: int) -> None:
    if len(value) != expected:
        raise InvalidStatement(f"expected {expected} bytes in {field}, got {len(value)}")


def _check_chain_id(field: str, value: str) -> None:
    size = len(value.encode())
    if not 1 <= size <= MAX_CHAIN_ID_BYTES:
        raise InvalidStatement(f"expected 1 to {MAX_CHAIN_ID_BYTES} bytes in {field}, got {size}")
