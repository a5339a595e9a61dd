from __future__ import annotations

from contextlib import suppress

import pytest
from google.protobuf import any_pb2, descriptor_pb2, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from tests.support.steps import count_calls
from tests.support.txs import build_key, build_statement, build_tx
from tx.codec import decode_canonical, encode
from tx.failures import MalformedEncoding, NonCanonicalEncoding, UnknownField
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import task_pb2, update_pb2
from wire.gradchain.tx.v1 import tx_pb2


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


BODIES = st.builds(
    tx_pb2.TxBody,
    chain_id=st.text(max_size=20),
    messages=st.lists(
        st.builds(any_pb2.Any, type_url=st.text(max_size=20), value=st.binary(max_size=40)), max_size=4
    ),
    expires_at_ns=st.integers(-(2**63), 2**63 - 1),
    nonce=st.binary(max_size=32),
    max_fee=st.integers(0, 2**64 - 1),
)


@given(BODIES)
def test_a_message_comes_back_from_its_encoding(body: tx_pb2.TxBody) -> None:
    assert decode_canonical(tx_pb2.TxBody, encode(body)) == body


@given(st.binary(max_size=200))
def test_bytes_that_are_accepted_are_the_encoding_of_what_they_mean(data: bytes) -> None:
    try:
        envelope = decode_canonical(tx_pb2.Envelope, data)
    except (MalformedEncoding, NonCanonicalEncoding, UnknownField):
        return
    assert encode(envelope) == data


def test_truncated_bytes_are_refused() -> None:
    with pytest.raises(MalformedEncoding):
        decode_canonical(tx_pb2.Envelope, build_tx()[:-1])


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(MalformedEncoding):
        decode_canonical(tx_pb2.TxBody, bytes_field(1, b"\xff\xfe"))


def test_nesting_without_end_is_refused() -> None:
    data = b""
    for _ in range(500):
        data = bytes_field(6, bytes_field(1, data))
    with pytest.raises(MalformedEncoding):
        decode_canonical(struct_pb2.Value, data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x28\x87\x00", id="a value with a longer varint than it needs"),
        pytest.param(b"\xa8\x00\x07", id="a tag with a longer varint than it needs"),
        pytest.param(b"\x0a\x82\x00ab", id="a length with a longer varint than it needs"),
        pytest.param(b"\x28\x00", id="a default value spelled out"),
        pytest.param(b"\x28\x07" + b"\x0a\x01a", id="fields out of order"),
        pytest.param(b"\x28\x06\x28\x07", id="a number given twice"),
        pytest.param(b"\x0a\x01a\x0a\x01a", id="a text given twice"),
    ],
)
def test_another_encoding_of_the_same_body_is_refused(data: bytes) -> None:
    tx_pb2.TxBody.FromString(data)
    with pytest.raises(NonCanonicalEncoding):
        decode_canonical(tx_pb2.TxBody, data)


def test_a_message_field_given_twice_is_refused() -> None:
    half = encode(update_pb2.SignedStatement(statement=b"s"))
    other_half = encode(update_pb2.SignedStatement(signature=b"t"))
    with pytest.raises(NonCanonicalEncoding):
        decode_canonical(update_pb2.Update, bytes_field(1, half) + bytes_field(1, other_half))


def test_two_members_of_a_oneof_are_refused() -> None:
    tx = encode(tx_pb2.Envelope(tx=tx_pb2.Tx(body=b"b")))
    updates = encode(
        tx_pb2.Envelope(updates=update_pb2.UpdateBundle(updates=[update_pb2.Update(payload=b"p")]))
    )
    with pytest.raises(NonCanonicalEncoding):
        decode_canonical(tx_pb2.Envelope, tx + updates)


@pytest.mark.parametrize("number", [6, 99, 2**29 - 1])
def test_an_unknown_field_is_refused(number: int) -> None:
    body = encode(tx_pb2.TxBody(chain_id="hub-1"))
    with pytest.raises(UnknownField):
        decode_canonical(tx_pb2.TxBody, body + bytes_field(number, b"x"))


def test_a_known_field_of_another_wire_type_is_refused() -> None:
    with pytest.raises(UnknownField):
        decode_canonical(tx_pb2.TxBody, b"\x08\x07")


def test_an_unknown_field_of_a_repeated_inner_message_is_refused() -> None:
    any_bytes = encode(any_pb2.Any(type_url="/a")) + bytes_field(7, b"x")
    with pytest.raises(UnknownField):
        decode_canonical(tx_pb2.TxBody, bytes_field(2, any_bytes))


def test_an_unknown_field_deep_inside_is_refused() -> None:
    signed = encode(sign_statement(build_statement(build_key(1)), build_key(1))) + bytes_field(3, b"x")
    with pytest.raises(UnknownField):
        decode_canonical(tx_pb2.Envelope, bytes_field(2, bytes_field(1, bytes_field(1, signed))))


def test_the_content_of_an_any_is_not_looked_at() -> None:
    body = encode(tx_pb2.TxBody(messages=[any_pb2.Any(type_url="/a", value=b"\xff\xff")]))
    assert decode_canonical(tx_pb2.TxBody, body).messages[0].value == b"\xff\xff"


def test_a_format_with_a_map_cannot_be_canonical() -> None:
    with pytest.raises(TypeError):
        decode_canonical(struct_pb2.Struct, b"")


def test_a_format_inside_itself_cannot_be_canonical() -> None:
    with pytest.raises(TypeError):
        decode_canonical(descriptor_pb2.DescriptorProto, b"")


@pytest.mark.parametrize("last", [b"", b"\xf8\x07\x01", b"\x0a\x80\x00"])
def test_a_message_of_many_empty_ones_takes_as_many_steps_as_one(last: bytes) -> None:
    def decode(count: int) -> int:
        data = bytes_field(2, b"\x0a\x00" * count + last)

        def work() -> None:
            with suppress(NonCanonicalEncoding, UnknownField):
                decode_canonical(tx_pb2.Envelope, data)

        work()
        return count_calls(work)

    assert decode(2_000) == decode(1)


def test_an_empty_rule_is_told_apart_from_none() -> None:
    with_rule = task_pb2.TaskSpec(rule=task_pb2.Rule(mean=task_pb2.RuleMean()))
    assert decode_canonical(task_pb2.TaskSpec, encode(with_rule)).rule.WhichOneof("kind") == "mean"
