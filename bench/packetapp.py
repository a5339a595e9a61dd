"""An app that sends packets when asked and takes any packet: hub and shard as they are, with one port more.

What is measured or tested with it is the link itself, so everything else of the chains stays: clients, channel,
registry, stores.  `MsgSendPacket` is the message of IBC v2; the chains proper have no use for it, since only their
own modules send.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from abci_app.definition import MessageHandler, build_handler_table
from abci_app.ibc_handlers import build_ibc_handlers
from ibc.channel import send_packet
from ibc.ports import SUCCESS_ACK
from tx.keys import parse_address
from wire.ibc.core.channel.v2 import packet_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.context import TxContext
    from abci_app.definition import AppDefinition
    from abci_app.state import StateWriter
    from ibc.host import HostContext, HostState, PortApp

PORT: Final = "bench"
VERSION: Final = "bench-1"
ENCODING: Final = "application/octet-stream"


class SinkPort:
    """Takes every payload and keeps nothing: receipts and acknowledgements are the channel's own."""

    def on_recv(
        self,
        ctx: HostContext,  # noqa: ARG002 - the protocol's names
        state: HostState,  # noqa: ARG002
        packet: packet_pb2.Packet,  # noqa: ARG002
        payload: packet_pb2.Payload,  # noqa: ARG002
        relayer: bytes,  # noqa: ARG002
    ) -> bytes:
        """Take it."""
        return SUCCESS_ACK

    def on_ack(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        ack: bytes,
    ) -> None:
        """Take note of nothing."""

    def on_timeout(
        self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
    ) -> None:
        """Take note of nothing."""


def build_payload(value: bytes) -> packet_pb2.Payload:
    """Return a payload from this port to the same one of the other chain."""
    return packet_pb2.Payload(
        source_port=PORT, destination_port=PORT, version=VERSION, encoding=ENCODING, value=value
    )


def add_packets(app: AppDefinition, ports: Mapping[str, PortApp]) -> AppDefinition:
    """Return an app that also sends packets when asked; `ports` are those that it has."""
    send = MessageHandler(channel_tx.MsgSendPacket, _signers, _accept, _send)
    added = build_handler_table(send, *build_ibc_handlers({**ports, PORT: SinkPort()}))
    return replace(app, handlers={**app.handlers, **added})


def _signers(message: channel_tx.MsgSendPacket) -> tuple[bytes, ...]:
    return (parse_address(message.signer),)


def _accept(_message: channel_tx.MsgSendPacket) -> None:
    """Leave all checks to the channel."""


def _send(
    ctx: TxContext, state: StateWriter, message: channel_tx.MsgSendPacket
) -> channel_tx.MsgSendPacketResponse:
    sequence = send_packet(
        ctx, state, message.source_client, message.timeout_timestamp, list(message.payloads)
    )
    return channel_tx.MsgSendPacketResponse(sequence=sequence)
