from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.txs import build_key, build_statement
from tx.assignment import assignment_leaf
from tx.codec import decode_canonical, encode
from tx.domains import ASSIGNMENT_LEAF, STATEMENT_SIGNATURE
from tx.errors import AppError
from tx.failures import (
    InvalidSignature,
    InvalidStatement,
    MalformedEncoding,
    NonCanonicalEncoding,
    UnknownField,
)
from tx.statements import check_statement, sign_statement, statement_digest, verify_statement
from wire.gradchain.fl.v1 import update_pb2


def sign_bytes(statement_bytes: bytes) -> update_pb2.SignedStatement:
    """Sign whatever bytes as participant 1 would."""
    signature = build_key(1).sign(statement_digest(statement_bytes))
    return update_pb2.SignedStatement(statement=statement_bytes, signature=signature)


def test_a_signed_statement_verifies_and_comes_back() -> None:
    statement = build_statement(build_key(1))
    assert verify_statement(sign_statement(statement, build_key(1))) == statement


def test_the_signature_covers_the_domain_and_the_bytes() -> None:
    assert statement_digest(b"bytes") == sha256(STATEMENT_SIGNATURE + b"bytes").digest()


def test_a_statement_of_another_participant_cannot_be_signed() -> None:
    with pytest.raises(InvalidStatement):
        sign_statement(build_statement(build_key(1)), build_key(2))


def test_a_statement_that_another_key_signed_is_refused() -> None:
    statement = encode(build_statement(build_key(2)))
    with pytest.raises(InvalidSignature):
        verify_statement(sign_bytes(statement))


def test_a_signed_statement_with_any_bit_changed_is_refused() -> None:
    data = encode(sign_statement(build_statement(build_key(1)), build_key(1)))
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AppError):
            verify_statement(decode_canonical(update_pb2.SignedStatement, bytes(flipped)))


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (b"\x68\x87\x00", NonCanonicalEncoding),
        (b"\x70\x64", NonCanonicalEncoding),
        (b"\xf8\x01\x01", UnknownField),
        (b"\xff", MalformedEncoding),
    ],
)
def test_a_statement_in_another_encoding_is_refused_although_it_is_signed(
    tail: bytes, error: type[AppError]
) -> None:
    with pytest.raises(error):
        verify_statement(sign_bytes(encode(build_statement(build_key(1))) + tail))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hub_chain_id", ""),
        ("hub_chain_id", "x" * 51),
        ("hub_chain_id", "\u00e9" * 26),
        ("shard", ""),
        ("shard", "x" * 51),
        ("participant", b""),
        ("participant", b"x" * 31),
        ("spec_digest", b"x" * 31),
        ("spec_digest", b"x" * 33),
        ("base_root", b""),
        ("payload_root", b"x" * 64),
        ("scale", 21),
        ("scale", 2**32 - 1),
        ("clipped", 10),
        ("large", 2 * 40_960 + 1),
        ("large", 2**64 - 1),
    ],
)
def test_a_field_out_of_its_range_is_refused(field: str, value: object) -> None:
    statement = build_statement(build_key(1))
    setattr(statement, field, value)
    with pytest.raises(InvalidStatement):
        check_statement(statement)


@pytest.mark.parametrize("sizes", [(), (47,), (48, 49), (48,) * 33])
def test_commitments_of_another_number_or_size_are_refused(sizes: tuple[int, ...]) -> None:
    statement = build_statement(build_key(1))
    del statement.commitments[:]
    statement.commitments.extend(b"x" * size for size in sizes)
    with pytest.raises(InvalidStatement):
        check_statement(statement)


def test_a_statement_at_the_ends_of_what_is_allowed_passes() -> None:
    statement = build_statement(build_key(1))
    del statement.commitments[:]
    statement.commitments.extend([b"x" * 48] * 32)
    statement.hub_chain_id = statement.shard = "x" * 50
    statement.scale = 20
    statement.clipped = statement.large = 32 * 40_960
    statement.max_fee = 2**64 - 1
    check_statement(statement)


@given(st.binary(max_size=300), st.binary(max_size=70))
def test_arbitrary_bytes_never_crash_the_check(statement: bytes, signature: bytes) -> None:
    with pytest.raises(AppError):
        verify_statement(update_pb2.SignedStatement(statement=statement, signature=signature))


def test_an_assignment_leaf_starts_with_its_domain() -> None:
    leaf = assignment_leaf(1, 2, 3, "shard-1", 4, b"p" * 32)
    assert leaf[2:].startswith(ASSIGNMENT_LEAF.encode())
    decoded = decode_canonical(update_pb2.AssignmentLeaf, leaf)
    assert (decoded.task, decoded.round, decoded.attempt, decoded.shard, decoded.index) == (
        1,
        2,
        3,
        "shard-1",
        4,
    )
    assert decoded.participant == b"p" * 32
