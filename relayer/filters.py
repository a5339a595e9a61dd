"""What of the chains' news is taken up at all: pure functions from event to event.

A packet that is not taken up is as if it were not there: neither delivered, nor acknowledged, nor timed out by us.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ibc.ports import SHARD_PORT
from relayer.events import BlockSeen, BodyWanted, PendingListed, SentPacket, WrittenAck
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from relayer.config import FilterConfig
    from relayer.events import RelayEvent

T = TypeVar("T", SentPacket, WrittenAck)


def take_ports(event: RelayEvent, chosen: FilterConfig) -> RelayEvent | None:
    """Return what is left of an event for a relayer that serves some ports only; None if nothing is."""
    if not chosen.ports and not chosen.skip_ports:
        return event
    if isinstance(event, BodyWanted):
        # Bodies belong to checkpoints, which are packets of the shard's port.
        return event if chosen.takes_port(SHARD_PORT) else None
    return keep_packets(event, lambda packet: takes_packet(packet.packet_bytes, chosen))


def keep_packets(event: RelayEvent, keeps: Callable[[SentPacket | WrittenAck], bool]) -> RelayEvent:
    """Return an event without the packets that are not kept."""
    if isinstance(event, BlockSeen):
        return replace(event, sent=_keep(event.sent, keeps), written=_keep(event.written, keeps))
    if isinstance(event, PendingListed):
        return replace(event, packets=tuple(listed for listed in event.packets if keeps(listed.sent)))
    return event


def _keep(packets: tuple[T, ...], keeps: Callable[[SentPacket | WrittenAck], bool]) -> tuple[T, ...]:
    return tuple(packet for packet in packets if keeps(packet))


def takes_packet(packet_bytes: bytes, chosen: FilterConfig) -> bool:
    """Tell whether a packet is carried, by the ports of its payloads."""
    packet = packet_pb2.Packet.FromString(packet_bytes)
    return all(chosen.takes_port(payload.source_port) for payload in packet.payloads)
