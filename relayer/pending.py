"""Packets that the chains call open, with their age: from the chains, so that none is missed, whoever relays."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.both import finish_all
from relayer import open_packets, queries
from relayer.discovery import find_link
from relayer.each_link import ask_links
from relayer.filters import takes_packet
from relayer.policy import find_client_failure
from relayer.types import NS_PER_SECOND, Duty, Height
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relayer.config import FilterConfig
    from relayer.each_link import UnknownLink
    from relayer.events import LinkReady, SentPacket
    from relayer.journal import JournalReader
    from relayer.nodes import ChainNodes
    from relayer.types import ChainId, LinkEnd, PacketKey, PacketRecord, TimeNs

HEADERS_AT_ONCE: Final = 16
UNSEEN: Final = "unseen"
"""Stage of a packet that the journal does not know."""
FILTERED: Final = "left out by [filter] of the configuration"
"""Reason of a packet that this relayer does not carry."""


@dataclass(frozen=True, slots=True)
class PendingPacket:
    """A packet that its sender's chain neither saw acknowledged nor timed out."""

    shard: str
    """Names the link."""
    chain: str
    """The chain that sent it."""
    client: str
    sequence: int
    stage: str
    """Where our relayer has it; `unseen` if it does not know it."""
    age_s: int
    """Since the block that sent it; -1 if no node keeps that block any more and our relayer has not seen it."""
    timeout_in_s: int
    """Until it can no longer be received; negative when it must be timed out."""
    attempts: int
    """Failures of our relayer's present duty."""
    reason: str
    """Why it still waits, as far as it is known; empty where nothing is in its way."""


@dataclass(frozen=True, slots=True)
class PendingReport:
    """Open packets, the oldest first."""

    total: int
    """Of all links that could be asked, those above the limit too."""
    packets: tuple[PendingPacket, ...]
    unknown: tuple[UnknownLink, ...]


async def list_open(
    hub: ChainNodes, shard: ChainNodes
) -> tuple[LinkReady, list[tuple[LinkEnd, tuple[SentPacket, ...]]]]:
    """Return the link of a shard with its clients, and the open packets of both ends.

    Raises:
      LinkMissing: there is no link.
      AppError: the chains cannot be asked.

    """
    ready = await find_link(hub, shard)
    link = ready.link
    nodes = {hub.chain_id: hub, shard.chain_id: shard}
    found = await finish_all(open_packets.list_pending(nodes[end.chain], end, link) for end in link.ends)
    return ready, list(zip(link.ends, found, strict=True))


async def report_pending(
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
    journal: JournalReader | None,
    limit: int,
    now_ns: int,
    chosen: FilterConfig,
) -> tuple[PendingReport, AppError | None]:
    """Return the oldest open packets of all links, and the first error if a link could not be asked.

    Packets that the filter `chosen` leaves out are open as well, and are shown with that as their reason.
    """

    async def ask(hub: ChainNodes, shard: ChainNodes) -> tuple[int, list[PendingPacket]]:
        return await _report_link(hub, shard, journal, limit, now_ns, chosen)

    found, unknown, problem = await ask_links(ask, hub, shards)
    packets = [packet for _, some in found.values() for packet in some]
    packets.sort(key=lambda packet: -packet.age_s)
    return PendingReport(sum(total for total, _ in found.values()), tuple(packets[:limit]), unknown), problem


async def _report_link(
    hub: ChainNodes,
    shard: ChainNodes,
    journal: JournalReader | None,
    limit: int,
    now_ns: int,
    chosen: FilterConfig,
) -> tuple[int, list[PendingPacket]]:
    ready, ends = await list_open(hub, shard)
    nodes = {hub.chain_id: hub, shard.chain_id: shard}
    found: list[PendingPacket] = []
    for end, packets in ends:
        # Numbers rise with the blocks: the first are the oldest.
        oldest = packets[:limit]
        times = await read_times(nodes[end.chain], oldest)
        for sent in oldest:
            record = None if journal is None else journal.find_packet(sent.key)
            reason = _find_reason(ready, sent, record, now_ns, chosen)
            found.append(_describe(shard.chain_id, sent, times[sent.height], record, now_ns, reason))
    return sum(len(packets) for _, packets in ends), found


async def read_times(chain: ChainNodes, packets: Sequence[SentPacket]) -> dict[Height, TimeNs | None]:
    """Return the times of the blocks that sent packets, as far as nodes keep their headers."""
    heights = sorted({sent.height for sent in packets})
    at_once = asyncio.Semaphore(HEADERS_AT_ONCE)

    async def read(height: Height) -> TimeNs | None:
        async with at_once:
            try:
                return (await queries.get_height(chain, height)).time_ns
            except AppError:
                return None

    return dict(zip(heights, await asyncio.gather(*map(read, heights)), strict=True))


def _find_reason(
    ready: LinkReady, sent: SentPacket, record: PacketRecord | None, now_ns: int, chosen: FilterConfig
) -> str:
    """Return why a packet waits: its own failure, the filter, or a client that takes nothing."""
    if record is not None and record.failure is not None:
        return str(record.failure)
    if not takes_packet(sent.packet_bytes, chosen):
        return FILTERED
    if record is None:
        is_delivered_next = now_ns < sent.timeout_s * NS_PER_SECOND
    else:
        is_delivered_next = record.duty is Duty.RECEIVE
    sender = sent.key.sender
    end = ready.link.opposite(sender) if is_delivered_next else sender
    view = ready.hub_client if end == ready.link.hub else ready.shard_client
    failure = find_client_failure(end, view.status)
    return "" if failure is None else str(failure)


def _describe(
    shard: str,
    sent: SentPacket,
    time_ns: TimeNs | None,
    record: PacketRecord | None,
    now_ns: int,
    reason: str,
) -> PendingPacket:
    since_ns = time_ns if time_ns is not None else None if record is None else record.seen_ns
    key: PacketKey = sent.key
    return PendingPacket(
        shard=shard,
        chain=key.sender.chain,
        client=key.sender.client,
        sequence=key.sequence,
        stage=UNSEEN if record is None else record.stage,
        age_s=-1 if since_ns is None else max(0, (now_ns - since_ns) // NS_PER_SECOND),
        timeout_in_s=sent.timeout_s - now_ns // NS_PER_SECOND,
        attempts=0 if record is None else record.attempts,
        reason=reason,
    )
