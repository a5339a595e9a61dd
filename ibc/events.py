"""Events of clients and packets: what relayers live on.

Kinds and attributes are those of ibc-go v2, so that its tools find them; the packet itself is in the event, so that
nobody needs to search for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from ibc.errors import MalformedEvent
from ibc.identifiers import CLIENT_TYPE
from tx.codec import decode_canonical, encode
from tx.failures import TxError
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ibc.host import HostContext
    from ibc.identifiers import Height
    from tx.errors import AppError

CREATE_CLIENT: Final = "create_client"
UPDATE_CLIENT: Final = "update_client"
CLIENT_MISBEHAVIOUR: Final = "client_misbehaviour"
RECOVER_CLIENT: Final = "recover_client"
REGISTER_COUNTERPARTY: Final = "register_counterparty"
PAYLOAD_REFUSED: Final = "payload_refused"

_MODULE_CLIENTS = "ibc_client"
_MODULE_PACKETS = "ibc_channelv2"


class PacketEventKind(Enum):
    """A step in the life of a packet."""

    SEND = "send_packet"
    RECEIVE = "recv_packet"
    WRITE_ACK = "write_acknowledgement"
    ACKNOWLEDGE = "acknowledge_packet"
    TIME_OUT = "timeout_packet"


class EventLike(Protocol):
    """An event as the chain kit and its RPC client represent it."""

    @property
    def kind(self) -> str:
        """Type of the event."""

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        """Names and values, in order."""


@dataclass(frozen=True, slots=True)
class PacketEvent:
    """What an event says about a packet.  Nothing of it is proven."""

    kind: PacketEventKind
    packet: packet_pb2.Packet
    acknowledgement: packet_pb2.Acknowledgement | None = None
    """Of `WRITE_ACK` only."""


def emit_create_client(ctx: HostContext, client_id: str, height: Height) -> None:
    """Tell that a client was created."""
    ctx.emit(CREATE_CLIENT, client_id=client_id, client_type=CLIENT_TYPE, consensus_height=str(height))
    ctx.emit("message", module=_MODULE_CLIENTS)


def emit_update_client(ctx: HostContext, client_id: str, height: Height) -> None:
    """Tell that a client learnt a height."""
    ctx.emit(
        UPDATE_CLIENT,
        client_id=client_id,
        client_type=CLIENT_TYPE,
        consensus_height=str(height),
        consensus_heights=str(height),
    )
    ctx.emit("message", module=_MODULE_CLIENTS)


def emit_misbehaviour(ctx: HostContext, client_id: str) -> None:
    """Tell that a client was frozen."""
    ctx.emit(CLIENT_MISBEHAVIOUR, client_id=client_id, client_type=CLIENT_TYPE)
    ctx.emit("message", module=_MODULE_CLIENTS)


def emit_recover_client(ctx: HostContext, subject_id: str, substitute_id: str) -> None:
    """Tell that an expired or frozen client works again."""
    ctx.emit(
        RECOVER_CLIENT,
        subject_client_id=subject_id,
        substitute_client_id=substitute_id,
        client_type=CLIENT_TYPE,
    )
    ctx.emit("message", module=_MODULE_CLIENTS)


def emit_register_counterparty(ctx: HostContext, client_id: str, counterparty_id: str) -> None:
    """Tell that a client was tied to its other end."""
    ctx.emit(REGISTER_COUNTERPARTY, client_id=client_id, counterparty_client_id=counterparty_id)
    ctx.emit("message", module=_MODULE_CLIENTS)


def emit_packet(
    ctx: HostContext,
    kind: PacketEventKind,
    packet: packet_pb2.Packet,
    ack: packet_pb2.Acknowledgement | None = None,
) -> None:
    """Tell of a step in the life of a packet."""
    attributes = {
        "packet_source_client": packet.source_client,
        "packet_dest_client": packet.destination_client,
        "packet_sequence": str(packet.sequence),
        "packet_timeout_timestamp": str(packet.timeout_timestamp),
        "encoded_packet_hex": encode(packet).hex(),
    }
    if ack is not None:
        attributes["encoded_acknowledgement_hex"] = encode(ack).hex()
    ctx.emit(kind.value, **attributes)
    ctx.emit("message", module=_MODULE_PACKETS)


def emit_payload_refused(ctx: HostContext, packet: packet_pb2.Packet, port: str, error: AppError) -> None:
    """Tell why an application refused a packet.  The other chain learns only that it did."""
    ctx.emit(
        PAYLOAD_REFUSED,
        packet_source_client=packet.source_client,
        packet_dest_client=packet.destination_client,
        packet_sequence=str(packet.sequence),
        port=port,
        codespace=error.CODESPACE,
        code=str(error.CODE),
    )


def packets_from_events(events: Iterable[EventLike]) -> list[PacketEvent]:
    """Return what events say about packets, in order; events of other kinds are passed over.

    Raises:
      MalformedEvent: a packet event lacks its packet or acknowledgement, or holds something else.

    """
    kinds = {kind.value: kind for kind in PacketEventKind}
    found = []
    for event in events:
        kind = kinds.get(event.kind)
        if kind is not None:
            found.append(_parse_packet_event(kind, dict(event.attributes)))
    return found


def _parse_packet_event(kind: PacketEventKind, attributes: dict[str, str]) -> PacketEvent:
    try:
        packet = decode_canonical(packet_pb2.Packet, _read_hex(kind, attributes, "encoded_packet_hex"))
        if kind is not PacketEventKind.WRITE_ACK:
            return PacketEvent(kind, packet)
        encoded = _read_hex(kind, attributes, "encoded_acknowledgement_hex")
        return PacketEvent(kind, packet, decode_canonical(packet_pb2.Acknowledgement, encoded))
    except TxError as error:
        raise MalformedEvent(f"{kind.value}: {error.message}") from error


def _read_hex(kind: PacketEventKind, attributes: dict[str, str], name: str) -> bytes:
    text = attributes.get(name)
    if text is None:
        raise MalformedEvent(f"expected {kind.value} to have {name}, got none")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedEvent(f"expected {name} of {kind.value} in hexadecimal, got {text[:64]!r}") from None
