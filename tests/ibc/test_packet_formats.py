"""Golden values of IBC v2, from ibc-go's own tests, and what is well-formed."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibc import errors
from ibc.identifiers import Height
from ibc.keys import (
    AUTHORITY_KEY,
    NEXT_CLIENT_KEY,
    client_state_key,
    consensus_state_key,
    counterparty_key,
    height_key,
    next_sequence_key,
    packet_ack_key,
    packet_commitment_key,
    packet_receipt_key,
    pending_packet_key,
    written_ack_key,
)
from ibc.packet import (
    ERROR_ACK,
    MAX_ACK_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_PAYLOADS,
    check_acknowledgement,
    check_packet,
    commit_acknowledgement,
    commit_packet,
    is_success,
)
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Callable


def make_packet() -> packet_pb2.Packet:
    payload = packet_pb2.Payload(
        source_port="transfer",
        destination_port="transfer",
        version="ics20-1",
        encoding="application/json",
        value=(b'{"denom":"uatom","amount":"1000000","sender":"sender","receiver":"receiver","memo":"memo"}'),
    )
    return packet_pb2.Packet(
        sequence=1,
        source_client="07-tendermint-0",
        destination_client="07-tendermint-1",
        timeout_timestamp=100,
        payloads=[payload],
    )


def make_ack(*elements: bytes) -> packet_pb2.Acknowledgement:
    return packet_pb2.Acknowledgement(app_acknowledgements=elements)


def test_the_error_value_is_the_one_of_the_protocol() -> None:
    assert ERROR_ACK.hex() == "4774d4a575993f963b1c06573736617a457abef8589178db8d10c94b4ab511ab"


def test_a_packet_commits_to_the_known_value() -> None:
    commitment = "a096722aa6534040a0efbdae05765132a7b223ad306d6512f3734821bd046505"
    assert commit_packet(make_packet()).hex() == commitment


def test_acknowledgements_commit_to_the_known_values() -> None:
    success = "f03b4667413e56aaf086663267913e525c442b56fa1af4fa3f3dab9f37044c5b"
    failure = "e2fb30dfbf7abdeaca82d426534d2b3a9d5444dd2a87fa16d38b77ba1a13ced7"
    assert commit_acknowledgement(make_ack(b"some bytes")).hex() == success
    assert commit_acknowledgement(make_ack(ERROR_ACK)).hex() == failure


def _digest(data: bytes) -> bytes:
    return sha256(data).digest()


def test_payloads_and_elements_are_committed_to_one_after_the_other() -> None:
    packet = make_packet()
    packet.payloads.append(
        packet_pb2.Payload(source_port="a", destination_port="b", version="c", encoding="d", value=b"e")
    )
    payloads = b"".join(
        _digest(
            _digest(item.source_port.encode())
            + _digest(item.destination_port.encode())
            + _digest(item.version.encode())
            + _digest(item.encoding.encode())
            + _digest(item.value)
        )
        for item in packet.payloads
    )
    timeout = packet.timeout_timestamp.to_bytes(8, "big")
    client = packet.destination_client.encode()
    expected = _digest(b"\x02" + _digest(client) + _digest(timeout) + _digest(payloads))
    assert commit_packet(packet) == expected
    assert commit_acknowledgement(make_ack(b"a", b"b")) == _digest(b"\x02" + _digest(b"a") + _digest(b"b"))


def test_keys_are_those_of_the_protocol() -> None:
    assert packet_commitment_key("channel-0", 1).hex() == "6368616e6e656c2d30010000000000000001"
    assert packet_receipt_key("channel-0", 1).hex() == "6368616e6e656c2d30020000000000000001"
    assert packet_ack_key("channel-0", 1).hex() == "6368616e6e656c2d30030000000000000001"
    assert client_state_key("07-tendermint-4") == b"clients/07-tendermint-4/clientState"
    expected = b"clients/07-tendermint-4/consensusStates/3-77"
    assert consensus_state_key("07-tendermint-4", Height(3, 77)) == expected


def test_what_a_relayer_asks_for_stands_under_keys_of_its_own() -> None:
    assert pending_packet_key("07-tendermint-4", 258) == b"ibc/packet/07-tendermint-4/" + b"\0\0\0\0\0\0\1\2"
    assert written_ack_key("07-tendermint-4", 258) == b"ibc/ack/07-tendermint-4/" + b"\0\0\0\0\0\0\1\2"
    assert counterparty_key("07-tendermint-4") == b"ibc/counterparty/07-tendermint-4"
    assert next_sequence_key("07-tendermint-4") == b"ibc/next-sequence/07-tendermint-4"
    assert height_key("07-tendermint-4", 258) == b"ibc/height/07-tendermint-4/0000000000000102"
    assert (AUTHORITY_KEY, NEXT_CLIENT_KEY) == (b"ibc/authority", b"ibc/next-client")


def test_keys_of_the_index_are_in_the_order_of_heights_and_sequences() -> None:
    numbers = [1, 9, 10, 255, 256, 1 << 40, (1 << 63) - 1]
    assert sorted(height_key("07-tendermint-0", number) for number in numbers) == [
        height_key("07-tendermint-0", number) for number in numbers
    ]
    assert sorted(pending_packet_key("07-tendermint-0", number) for number in numbers) == [
        pending_packet_key("07-tendermint-0", number) for number in numbers
    ]


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(lambda p: setattr(p, "destination_client", "07-tendermint-2"), id="destination"),
        pytest.param(lambda p: setattr(p, "timeout_timestamp", 101), id="timeout"),
        pytest.param(lambda p: setattr(p.payloads[0], "source_port", "other"), id="source port"),
        pytest.param(lambda p: setattr(p.payloads[0], "destination_port", "other"), id="destination port"),
        pytest.param(lambda p: setattr(p.payloads[0], "version", "other"), id="version"),
        pytest.param(lambda p: setattr(p.payloads[0], "encoding", "other"), id="encoding"),
        pytest.param(lambda p: setattr(p.payloads[0], "value", b"other"), id="value"),
        pytest.param(lambda p: p.payloads.append(p.payloads[0]), id="one more payload"),
    ],
)
def test_a_commitment_binds_every_field(mutate: Callable[[packet_pb2.Packet], None]) -> None:
    packet = make_packet()
    mutate(packet)
    assert commit_packet(packet) != commit_packet(make_packet())


def test_a_known_packet_is_well_formed() -> None:
    check_packet(make_packet())


def _payload(name: str, value: object) -> Callable[[packet_pb2.Packet], None]:
    return lambda packet: setattr(packet.payloads[0], name, value)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda p: setattr(p, "sequence", 0), errors.InvalidPacket, id="sequence zero"),
        pytest.param(lambda p: setattr(p, "timeout_timestamp", 0), errors.InvalidPacket, id="no timeout"),
        pytest.param(
            lambda p: setattr(p, "source_client", "short-1"), errors.InvalidIdentifier, id="short id"
        ),
        pytest.param(
            lambda p: setattr(p, "destination_client", "x" * 65), errors.InvalidIdentifier, id="long id"
        ),
        pytest.param(
            lambda p: setattr(p, "source_client", "with/slash-1"), errors.InvalidIdentifier, id="slash"
        ),
        pytest.param(lambda p: p.ClearField("payloads"), errors.InvalidPacket, id="no payload"),
        pytest.param(
            lambda p: p.payloads.extend([p.payloads[0]] * MAX_PAYLOADS),
            errors.PayloadTooLarge,
            id="many payloads",
        ),
        pytest.param(_payload("source_port", "x"), errors.InvalidIdentifier, id="short port"),
        pytest.param(_payload("destination_port", "a b"), errors.InvalidIdentifier, id="blank in a port"),
        pytest.param(_payload("version", ""), errors.InvalidPacket, id="no version"),
        pytest.param(_payload("encoding", " "), errors.InvalidPacket, id="blank encoding"),
        pytest.param(_payload("value", b""), errors.InvalidPacket, id="no value"),
        pytest.param(
            _payload("value", bytes(MAX_PAYLOAD_BYTES + 1)), errors.PayloadTooLarge, id="large value"
        ),
    ],
)
def test_a_malformed_packet_is_refused(
    mutate: Callable[[packet_pb2.Packet], None], expected: type[errors.IbcError]
) -> None:
    packet = make_packet()
    mutate(packet)
    with pytest.raises(expected):
        check_packet(packet)


@pytest.mark.parametrize("name", ["version", "encoding"])
def test_a_label_that_is_refused_is_named_and_shown_in_part(name: str) -> None:
    packet = make_packet()
    setattr(packet.payloads[0], name, "x" * 128)
    check_packet(packet)
    setattr(packet.payloads[0], name, "x" * 129)
    with pytest.raises(errors.InvalidPacket) as refused:
        check_packet(packet)
    expected = f"expected a payload {name} of printable characters, got {'x' * 128!r}"
    assert refused.value.message == expected


def test_there_may_be_as_many_payloads_and_elements_as_the_bounds_say() -> None:
    packet = make_packet()
    packet.payloads.extend([packet.payloads[0]] * (MAX_PAYLOADS - 1))
    check_packet(packet)
    check_acknowledgement(make_ack(bytes(MAX_ACK_BYTES - 1), b"x"), 2)
    with pytest.raises(
        errors.InvalidAcknowledgement, match=f"at most {MAX_ACK_BYTES} bytes, got {MAX_ACK_BYTES + 1} "
    ):
        check_acknowledgement(make_ack(bytes(MAX_ACK_BYTES), b"x"), 2)
    with pytest.raises(errors.InvalidAcknowledgement, match="expected elements that are not empty, got 0 "):
        check_acknowledgement(make_ack(), 0)


def test_payloads_are_bounded_together() -> None:
    packet = make_packet()
    packet.payloads[0].value = bytes(MAX_PAYLOAD_BYTES)
    check_packet(packet)
    packet.payloads.append(make_packet().payloads[0])
    with pytest.raises(errors.PayloadTooLarge):
        check_packet(packet)


@pytest.mark.parametrize(
    ("elements", "payloads"),
    [
        pytest.param((), 1, id="none"),
        pytest.param((b"",), 1, id="an empty one"),
        pytest.param((b"a", b""), 2, id="an empty one among others"),
        pytest.param((b"a",), 2, id="too few"),
        pytest.param((b"a", b"b"), 1, id="too many"),
        pytest.param((b"a", ERROR_ACK), 2, id="the error value among others"),
        pytest.param((ERROR_ACK, ERROR_ACK), 2, id="the error value twice"),
        pytest.param((bytes(MAX_ACK_BYTES + 1),), 1, id="too large"),
    ],
)
def test_a_malformed_acknowledgement_is_refused(elements: tuple[bytes, ...], payloads: int) -> None:
    with pytest.raises(errors.InvalidAcknowledgement):
        check_acknowledgement(make_ack(*elements), payloads)


@given(st.integers(1, MAX_PAYLOADS))
def test_one_error_value_answers_any_number_of_payloads(payloads: int) -> None:
    check_acknowledgement(make_ack(ERROR_ACK), payloads)
    assert not is_success(make_ack(ERROR_ACK))
    check_acknowledgement(make_ack(*[b"a"] * payloads), payloads)
    assert is_success(make_ack(*[b"a"] * payloads))
