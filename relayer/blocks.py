"""Reading a block's results: which of its events are about our links.

What a node says here is not proven, and need not be: everything that is submitted later is proven.  A malformed or
contradictory event is passed over; if it hides a packet, the list of pending packets shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ibc.errors import MalformedEvent
from ibc.events import UPDATE_CLIENT, PacketEvent, PacketEventKind, packets_from_events
from relayer.events import BlockSeen, FinishedPacket, SentPacket, UpdatedClient, WrittenAck
from relayer.types import MAX_STORED, ChainId, ClientId, Height, Link, LinkEnd, PacketKey
from tx.codec import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from abci_app.context import Event
    from abci_app.rpc_answers import BlockResults
    from wire.ibc.core.channel.v2 import packet_pb2

LOG = structlog.get_logger(__name__)

HEIGHT_DIGITS: Final = 18
"""Digits of a height in an event; no honest chain comes anywhere near it."""


def read_block(chain: ChainId, results: BlockResults, links: Mapping[LinkEnd, Link]) -> BlockSeen:
    """Return what a block holds for the links; `links` has each link under both of its ends."""
    events = [event for tx in results.txs if tx.code == 0 for event in tx.events]
    events += results.events
    sent: list[SentPacket] = []
    written: list[WrittenAck] = []
    finished: list[FinishedPacket] = []
    height = Height(results.height)
    for event in _read_packets(chain, events):
        key = find_key(chain, event.kind, event.packet, links)
        if key is None:
            continue
        packet, timeout_s = encode(event.packet), event.packet.timeout_timestamp
        if event.kind is PacketEventKind.SEND:
            sent.append(SentPacket(key, packet, timeout_s, height))
        elif event.kind is PacketEventKind.WRITE_ACK and event.acknowledgement is not None:
            written.append(WrittenAck(key, packet, timeout_s, encode(event.acknowledgement)))
        elif event.kind in {PacketEventKind.ACKNOWLEDGE, PacketEventKind.TIME_OUT}:
            finished.append(FinishedPacket(key, timed_out=event.kind is PacketEventKind.TIME_OUT))
    return BlockSeen(
        chain,
        height,
        tuple(sent),
        tuple(written),
        tuple(finished),
        tuple(_read_updates(chain, events, links)),
    )


def find_receipt(
    chain: ChainId, results: BlockResults, links: Mapping[LinkEnd, Link], key: PacketKey
) -> int | None:
    """Return the place in a block of the transaction that received a packet, or None if none did."""
    for place, tx in enumerate(results.txs):
        for event in _read_packets(chain, tx.events if tx.code == 0 else ()):
            is_receipt = event.kind is PacketEventKind.WRITE_ACK
            if is_receipt and find_key(chain, event.kind, event.packet, links) == key:
                return place
    return None


def find_key(
    chain: ChainId, kind: PacketEventKind, packet: packet_pb2.Packet, links: Mapping[LinkEnd, Link]
) -> PacketKey | None:
    """Return the key of a packet that an event of a chain is about, or None if it is not one of a link."""
    source, destination = ClientId(packet.source_client), ClientId(packet.destination_client)
    receives = kind in {PacketEventKind.RECEIVE, PacketEventKind.WRITE_ACK}
    here = LinkEnd(chain, destination if receives else source)
    link = links.get(here)
    if link is None:
        return None
    there = link.opposite(here)
    # The link's own object: of thousands of packets each would hold an equal one.
    here = link.opposite(there)
    if there.client != (source if receives else destination):
        return None
    if not 0 < packet.sequence <= MAX_STORED or not 0 < packet.timeout_timestamp <= MAX_STORED:
        LOG.warning("packet out of range passed over", chain=chain, client=here.client)
        return None
    return PacketKey(there if receives else here, packet.sequence)


def _read_packets(chain: ChainId, events: Iterable[Event]) -> Iterable[PacketEvent]:
    for event in events:
        try:
            yield from packets_from_events([event])
        except MalformedEvent as error:
            LOG.warning("malformed event passed over", chain=chain, kind=event.kind, reason=error.message)


def _read_updates(
    chain: ChainId, events: Iterable[Event], links: Mapping[LinkEnd, Link]
) -> Iterable[UpdatedClient]:
    for event in events:
        if event.kind != UPDATE_CLIENT:
            continue
        attributes = dict(event.attributes)
        client = ClientId(attributes.get("client_id", ""))
        height = attributes.get("consensus_height", "").rpartition("-")[2]
        if LinkEnd(chain, client) in links and height.isdecimal() and len(height) <= HEIGHT_DIGITS:
            yield UpdatedClient(client, Height(int(height)))
