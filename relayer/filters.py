"""What of the chains' news is taken up at all: pure functions from event to event.

A packet that is not taken up is as if it were not there: neither delivered, nor acknowledged, nor timed out by us.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from ibc.ports import HUB_PORT, SHARD_PORT
from relayer.events import BlockSeen, BodyWanted, PendingListed, SentPacket, WrittenAck
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from relayer.config import FilterConfig
    from relayer.events import RelayEvent

T = TypeVar("T", SentPacket, WrittenAck)

PORTS: Final = (HUB_PORT, SHARD_PORT)
"""Those of gradchain's own chains.  A chain may have more, so others are doubted and not refused."""
CURE: Final = "Correct the port in [filter], unless an app of your own has it."


def list_doubts(chosen: FilterConfig) -> tuple[str, ...]:
    """Return, for each port of a filter that may be mistyped, what people should know of it."""
    doubts: list[str] = []
    for key, ports in (("ports", chosen.ports), ("skip_ports", chosen.skip_ports)):
        for port in ports:
            if port in PORTS:
                continue
            near = difflib.get_close_matches(port, PORTS, 1)
            hint = f"; {near[0]} was meant?" if near else ""
            known = ", ".join(PORTS)
            doubts.append(
                f"{key} names {port}, which gradchain's chains do not have (they have {known}){hint}"
            )
    return tuple(doubts)


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
