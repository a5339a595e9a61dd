"""Packets and acknowledgements: their hashes, and what is well-formed.

Source: ibc-go `04-channel/v2/types/{commitment,packet,acknowledgement}.go`.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ibc.errors import InvalidAcknowledgement, InvalidPacket, PayloadTooLarge
from ibc.identifiers import check_packet_client_id, check_port
from ibc.keys import be64

if TYPE_CHECKING:
    from wire.ibc.core.channel.v2 import packet_pb2

ERROR_ACK: Final = sha256(b"UNIVERSAL_ERROR_ACKNOWLEDGEMENT").digest()
"""The only element of the acknowledgement of a packet that an application refused."""

RECEIPT: Final = b"\x02"
"""Value of a receipt."""

MAX_PAYLOADS: Final = 16
MAX_PAYLOAD_BYTES: Final = 262_144
"""Bound on the values of all payloads of a packet together."""

MAX_ACK_BYTES: Final = 65_536
"""Bound on the elements of an acknowledgement together."""

MAX_TIMEOUT_S: Final = 86_400
"""How far ahead of the sender's time a timeout may be, in seconds."""

_PROTOCOL_VERSION = b"\x02"
_LABEL = re.compile(r"[!-~]{1,128}")


def _hash(data: bytes) -> bytes:
    return sha256(data).digest()


def _hash_payload(payload: packet_pb2.Payload) -> bytes:
    parts = (
        payload.source_port.encode(),
        payload.destination_port.encode(),
        payload.version.encode(),
        payload.encoding.encode(),
        payload.value,
    )
    return _hash(b"".join(_hash(part) for part in parts))


def commit_packet(packet: packet_pb2.Packet) -> bytes:
    """Return the 32 bytes that the sender stores of a packet.  Source client and sequence are in the key."""
    return _hash(
        _PROTOCOL_VERSION
        + _hash(packet.destination_client.encode())
        + _hash(be64(packet.timeout_timestamp))
        + _hash(b"".join(_hash_payload(payload) for payload in packet.payloads))
    )


def commit_acknowledgement(ack: packet_pb2.Acknowledgement) -> bytes:
    """Return the 32 bytes that the receiver stores of an acknowledgement."""
    return _hash(_PROTOCOL_VERSION + b"".join(_hash(element) for element in ack.app_acknowledgements))


def check_packet(packet: packet_pb2.Packet) -> None:
    """Check a packet by itself.

    Raises:
      InvalidIdentifier: a client id or port has the wrong form.
      InvalidPacket: a number is zero, or a payload has an empty or malformed field.
      PayloadTooLarge: there are too many payloads, or too many bytes in them.

    """
    if packet.sequence == 0 or packet.timeout_timestamp == 0:
        raise InvalidPacket(
            f"expected a sequence and a timeout from 1, got {packet.sequence} and {packet.timeout_timestamp}"
        )
    check_packet_client_id(packet.source_client)
    check_packet_client_id(packet.destination_client)
    if not packet.payloads:
        raise InvalidPacket("expected at least one payload, got none")
    if len(packet.payloads) > MAX_PAYLOADS:
        raise PayloadTooLarge(f"expected at most {MAX_PAYLOADS} payloads, got {len(packet.payloads)}")
    for payload in packet.payloads:
        _check_payload(payload)
    size = sum(len(payload.value) for payload in packet.payloads)
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"expected payloads of at most {MAX_PAYLOAD_BYTES} bytes, got {size}")


def _check_payload(payload: packet_pb2.Payload) -> None:
    check_port(payload.source_port)
    check_port(payload.destination_port)
    for name, text in (("version", payload.version), ("encoding", payload.encoding)):
        if _LABEL.fullmatch(text) is None:
            raise InvalidPacket(f"expected a payload {name} of printable characters, got {text[:128]!r}")
    if not payload.value:
        raise InvalidPacket("expected a payload value, got an empty one")


def is_success(ack: packet_pb2.Acknowledgement) -> bool:
    """Whether the receiver's applications took the packet; asks for an acknowledgement that was checked."""
    return ack.app_acknowledgements[0] != ERROR_ACK


def check_acknowledgement(ack: packet_pb2.Acknowledgement, payloads: int) -> None:
    """Check an acknowledgement of a packet with that many payloads.

    Raises:
      InvalidAcknowledgement: an element is empty, there are not as many as payloads, or the error value stands
        among others.

    """
    elements = ack.app_acknowledgements
    if not elements or not all(elements):
        raise InvalidAcknowledgement(f"expected elements that are not empty, got {len(elements)}")
    if list(elements) == [ERROR_ACK]:
        return
    if ERROR_ACK in elements:
        raise InvalidAcknowledgement(f"expected the error value alone, got it among {len(elements)} elements")
    if len(elements) != payloads:
        raise InvalidAcknowledgement(
            f"expected {payloads} elements, one for each payload, got {len(elements)}"
        )
    size = sum(len(element) for element in elements)
    if size > MAX_ACK_BYTES:
        raise InvalidAcknowledgement(f"expected at most {MAX_ACK_BYTES} bytes, got {size}")
