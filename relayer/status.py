"""The state of all links, as an operator wants it: from the journal, and from the chains themselves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.both import finish_both
from relayer import open_packets, queries
from relayer.discovery import find_link
from relayer.holder import find_holder
from relayer.pending import read_times
from relayer.types import NO_HEIGHT, NS_PER_SECOND, STAGE_NAMES, Duty, Step, TimeNs, TxState
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from relayer.events import LinkReady, SentPacket
    from relayer.holder import HolderStatus
    from relayer.journal import JournalReader
    from relayer.nodes import ChainNodes
    from relayer.state import Restored
    from relayer.types import ChainId, ClientView, LinkEnd, PacketKey, PacketRecord


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """One chain."""

    chain_id: str
    height: int | None
    """Of its newest block; None if no node answers."""
    cursor: int
    """Of the newest block that the relayer has read; 0 if there is no journal."""
    error: str
    """Why no node answers; empty if one does."""


@dataclass(frozen=True, slots=True)
class EndStatus:
    """One end of a link: the light client there, and what the chain has sent over it."""

    chain_id: str
    client_id: str
    client_status: str
    client_height: int
    client_expires_in_s: int
    """Negative once it has expired."""
    pending: int
    """Packets that the chain has sent and that are neither acknowledged nor timed out."""
    oldest_sequence: int
    """0 if none is pending."""
    oldest_age_s: int
    """Since the block that sent it, or since the relayer saw it if no node keeps that block; 0 if none is pending."""
    refused: int
    """Pending packets that a chain has refused for good."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link."""

    shard: str
    ready: bool
    error: str
    """Why it is not ready; empty if it is."""
    ends: tuple[EndStatus, ...]
    """The hub's first; empty if the link is not ready."""


@dataclass(frozen=True, slots=True)
class StageCount:
    """How many packets of a chain are at a stage of their life, or have ended there."""

    chain_id: str
    stage: str
    packets: int


@dataclass(frozen=True, slots=True)
class TxCount:
    """How many transactions to a chain had a fate."""

    chain_id: str
    state: str
    txs: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Everything."""

    relayer: HolderStatus
    """Whether a relayer runs on this journal, and as which process."""
    chains: tuple[ChainStatus, ...]
    links: tuple[LinkStatus, ...]
    bodies: int
    """Bodies of checkpoints on their way to the hub."""
    packets: tuple[StageCount, ...]
    txs: tuple[TxCount, ...]


async def collect_status(
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
    path: Path,
    journal: JournalReader | None,
    now_ns: int,
) -> StatusReport:
    """Ask chains and the journal, whose path is given even if it is not there yet.  What does not answer is reported as such, so this never fails because of a chain.

    Raises:
      JournalUnusable: the journal cannot be read.

    """
    unfinished = None if journal is None else journal.unfinished()
    chains = await asyncio.gather(*(_chain_status(chain, unfinished) for chain in (hub, *shards.values())))
    links = await asyncio.gather(*(_link_status(hub, shard, unfinished, now_ns) for shard in shards.values()))
    packets = {} if journal is None else journal.count_packets()
    txs = {} if journal is None else journal.count_txs()
    return StatusReport(
        relayer=find_holder(path),
        chains=tuple(chains),
        links=tuple(links),
        bodies=0 if unfinished is None else len(unfinished.bodies),
        packets=tuple(
            StageCount(chain, STAGE_NAMES[Duty(duty), Step(step)], count)
            for (chain, duty, step), count in sorted(packets.items())
        ),
        txs=tuple(
            TxCount(chain, state.value, count) for (chain, state), count in sorted(txs.items(), key=_tx_order)
        ),
    )


def _tx_order(item: tuple[tuple[str, TxState], int]) -> tuple[str, str]:
    (chain, state), _ = item
    return chain, state.value


async def _chain_status(chain: ChainNodes, unfinished: Restored | None) -> ChainStatus:
    cursor = NO_HEIGHT if unfinished is None else unfinished.cursors.get(chain.chain_id, NO_HEIGHT)
    try:
        head = await queries.get_head(chain)
    except AppError as error:
        return ChainStatus(chain.chain_id, None, cursor, str(error))
    return ChainStatus(chain.chain_id, head.height, cursor, "")


async def _link_status(
    hub: ChainNodes, shard: ChainNodes, unfinished: Restored | None, now_ns: int
) -> LinkStatus:
    try:
        ready = await find_link(hub, shard)
        ends = await finish_both(
            _end_status(hub, ready, ready.link.hub, ready.hub_client, unfinished, now_ns),
            _end_status(shard, ready, ready.link.shard, ready.shard_client, unfinished, now_ns),
        )
    except AppError as error:
        return LinkStatus(shard.chain_id, ready=False, error=str(error), ends=())
    return LinkStatus(shard.chain_id, ready=True, error="", ends=ends)


async def _end_status(
    chain: ChainNodes,
    ready: LinkReady,
    end: LinkEnd,
    view: ClientView,
    unfinished: Restored | None,
    now_ns: int,
) -> EndStatus:
    pending = await open_packets.list_pending(chain, end, ready.link)
    known = {} if unfinished is None else {record.key: record for record in unfinished.packets}
    oldest = pending[0].key if pending else None
    return EndStatus(
        chain_id=end.chain,
        client_id=end.client,
        client_status=view.status.value,
        client_height=view.height,
        client_expires_in_s=(view.time_ns + view.trusting_period_ns - now_ns) // NS_PER_SECOND,
        pending=len(pending),
        oldest_sequence=0 if oldest is None else oldest.sequence,
        oldest_age_s=await _find_age(chain, pending[0], known, now_ns) if pending else 0,
        refused=sum(1 for sent in pending if sent.key in known and known[sent.key].step is Step.REFUSED),
    )


async def _find_age(
    chain: ChainNodes, sent: SentPacket, known: Mapping[PacketKey, PacketRecord], now_ns: int
) -> int:
    time_ns = (await read_times(chain, (sent,)))[sent.height]
    if time_ns is None:
        time_ns = known[sent.key].seen_ns if sent.key in known else TimeNs(now_ns)
    return max(0, (now_ns - time_ns) // NS_PER_SECOND)
