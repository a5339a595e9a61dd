from __future__ import annotations

from hashlib import sha256

import pytest
from google.protobuf import any_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.txs import NOW_NS, SECOND_NS, build_key, build_tx
from tx.codec import encode
from tx.domains import TX_SIGNATURE
from tx.envelope import (
    MAX_LIFE_NS,
    MAX_MESSAGES,
    MAX_UPDATES,
    ParsedBundle,
    ParsedTx,
    body_digest,
    check_body,
    make_tx,
    pack_message,
    parse_envelope,
    verify_signatures,
)
from tx.errors import AppError
from tx.failures import (
    BadNonce,
    EmptyEnvelope,
    Expired,
    ExpiryTooFar,
    InvalidSignature,
    MalformedEncoding,
    NonCanonicalEncoding,
    WrongChain,
    WrongMessageCount,
    WrongSigners,
    WrongUpdateCount,
)
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.tx.v1 import tx_pb2


def require_tx(data: bytes) -> ParsedTx:
    parsed = parse_envelope(data)
    assert isinstance(parsed, ParsedTx)
    return parsed


@given(
    st.text(max_size=20),
    st.lists(st.binary(max_size=30), min_size=1, max_size=5),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=32),
    st.integers(0, 2**64 - 1),
    st.integers(1, 3),
)
def test_a_transaction_comes_back_from_its_bytes(
    chain_id: str, values: list[bytes], expires_at_ns: int, nonce: bytes, max_fee: int, key_count: int
) -> None:
    keys = [build_key(number) for number in range(key_count)]
    messages = [any_pb2.Any(type_url="/x", value=value) for value in values]
    parsed = require_tx(make_tx(chain_id, messages, keys, expires_at_ns, nonce, max_fee))
    body = parsed.body
    assert (body.chain_id, body.expires_at_ns, body.nonce, body.max_fee) == (
        chain_id,
        expires_at_ns,
        nonce,
        max_fee,
    )
    assert parsed.messages == tuple(pack_message(message) for message in messages)
    assert verify_signatures(parsed, [key.public_key for key in keys]) == tuple(
        key.public_key for key in keys
    )


def test_a_message_is_packed_under_a_slash_and_its_name() -> None:
    packed = pack_message(update_pb2.AssignmentProof(index=3))
    assert packed.type_url == "/gradchain.fl.v1.AssignmentProof"
    assert packed.value == encode(update_pb2.AssignmentProof(index=3))


def test_the_body_hash_and_the_signed_digest_cover_the_bytes_of_the_body() -> None:
    parsed = require_tx(build_tx())
    assert parsed.body_hash == sha256(parsed.body_bytes).digest()
    assert body_digest(parsed.body_bytes) == sha256(TX_SIGNATURE + parsed.body_bytes).digest()


def test_a_signed_transaction_with_any_bit_changed_is_refused_or_says_something_else() -> None:
    data = build_tx(keys=(build_key(1), build_key(2)))
    signers = [build_key(1).public_key, build_key(2).public_key]
    original = require_tx(data)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            parsed = parse_envelope(bytes(flipped))
        except AppError:
            continue
        if isinstance(parsed, ParsedTx):
            assert parsed.body_bytes != original.body_bytes or parsed.signatures != original.signatures
            with pytest.raises((InvalidSignature, WrongSigners)):
                verify_signatures(parsed, signers)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_crash_the_parser(data: bytes) -> None:
    try:
        parse_envelope(data)
    except AppError:
        return


@given(st.data())
def test_a_body_in_another_encoding_is_refused(data: st.DataObject) -> None:
    body = encode(require_tx(build_tx()).body)
    tail = data.draw(st.sampled_from([b"\x28\x07", b"\x28\x87\x00", b"\x0a\x05hub-1"]))
    envelope = encode(tx_pb2.Envelope(tx=tx_pb2.Tx(body=body + tail)))
    with pytest.raises(NonCanonicalEncoding):
        parse_envelope(envelope)


def test_a_body_that_does_not_decode_is_refused() -> None:
    with pytest.raises(MalformedEncoding):
        parse_envelope(encode(tx_pb2.Envelope(tx=tx_pb2.Tx(body=b"\xff"))))


def test_an_empty_envelope_is_refused() -> None:
    with pytest.raises(EmptyEnvelope):
        parse_envelope(b"")


@pytest.mark.parametrize("count", [0, MAX_MESSAGES + 1])
def test_too_few_or_too_many_messages_are_refused(count: int) -> None:
    with pytest.raises(WrongMessageCount):
        parse_envelope(make_tx("hub-1", [any_pb2.Any()] * count, [build_key(1)], NOW_NS, b"12345678"))


def test_as_many_messages_as_allowed_are_parsed() -> None:
    data = make_tx("hub-1", [any_pb2.Any()] * MAX_MESSAGES, [build_key(1)], NOW_NS, b"12345678")
    assert len(require_tx(data).messages) == MAX_MESSAGES


@pytest.mark.parametrize("count", [0, MAX_UPDATES + 1])
def test_too_few_or_too_many_updates_are_refused(count: int) -> None:
    bundle = update_pb2.UpdateBundle(updates=[update_pb2.Update(payload=b"x")] * count)
    with pytest.raises(WrongUpdateCount):
        parse_envelope(encode(tx_pb2.Envelope(updates=bundle)))


def test_a_bundle_is_parsed_to_its_updates() -> None:
    updates = [update_pb2.Update(payload=bytes([number])) for number in range(3)]
    parsed = parse_envelope(encode(tx_pb2.Envelope(updates=update_pb2.UpdateBundle(updates=updates))))
    assert parsed == ParsedBundle(tuple(updates))


def build_body(**changes: object) -> tx_pb2.TxBody:
    body = tx_pb2.TxBody(chain_id="hub-1", expires_at_ns=NOW_NS + SECOND_NS, nonce=b"12345678")
    for name, value in changes.items():
        setattr(body, name, value)
    return body


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"chain_id": "hub-2"}, WrongChain),
        ({"chain_id": ""}, WrongChain),
        ({"expires_at_ns": NOW_NS - 1}, Expired),
        ({"expires_at_ns": -(2**63)}, Expired),
        ({"expires_at_ns": NOW_NS + MAX_LIFE_NS + 1}, ExpiryTooFar),
        ({"expires_at_ns": 2**63 - 1}, ExpiryTooFar),
        ({"nonce": b"1234567"}, BadNonce),
        ({"nonce": b"x" * 33}, BadNonce),
    ],
    ids=str,
)
def test_a_body_that_must_not_be_included_is_refused(
    changes: dict[str, object], error: type[AppError]
) -> None:
    with pytest.raises(error):
        check_body(build_body(**changes), "hub-1", NOW_NS)


@pytest.mark.parametrize(
    "changes",
    [{}, {"expires_at_ns": NOW_NS}, {"expires_at_ns": NOW_NS + MAX_LIFE_NS}, {"nonce": b"x" * 32}],
    ids=str,
)
def test_a_body_at_the_ends_of_what_is_allowed_passes(changes: dict[str, object]) -> None:
    check_body(build_body(**changes), "hub-1", NOW_NS)


def test_a_signer_of_two_messages_signs_once_at_its_first_place() -> None:
    first, second = build_key(1), build_key(2)
    parsed = require_tx(build_tx(keys=(first, second)))
    signers = [first.public_key, second.public_key, first.public_key]
    assert verify_signatures(parsed, signers) == (first.public_key, second.public_key)


@pytest.mark.parametrize("signed_by", [(), (1,), (1, 2, 2), (1, 2, 3)])
def test_missing_or_extra_signatures_are_refused(signed_by: tuple[int, ...]) -> None:
    parsed = require_tx(build_tx(keys=tuple(build_key(number) for number in signed_by)))
    with pytest.raises(WrongSigners):
        verify_signatures(parsed, [build_key(1).public_key, build_key(2).public_key])


@pytest.mark.parametrize("signed_by", [(2, 1), (1, 1), (1, 3)])
def test_signatures_out_of_order_or_of_others_are_refused(signed_by: tuple[int, ...]) -> None:
    parsed = require_tx(build_tx(keys=tuple(build_key(number) for number in signed_by)))
    with pytest.raises(InvalidSignature):
        verify_signatures(parsed, [build_key(1).public_key, build_key(2).public_key])


def test_a_transaction_that_nobody_must_sign_is_refused() -> None:
    with pytest.raises(WrongSigners):
        verify_signatures(require_tx(build_tx(keys=())), [])


def test_a_signature_without_the_domain_is_refused() -> None:
    parsed = require_tx(build_tx(keys=()))
    bare = build_key(1).sign(sha256(parsed.body_bytes).digest())
    tx = tx_pb2.Tx(body=parsed.body_bytes, signatures=[bare])
    with pytest.raises(InvalidSignature):
        verify_signatures(require_tx(encode(tx_pb2.Envelope(tx=tx))), [build_key(1).public_key])
