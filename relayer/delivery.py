"""Finding the transaction in which a packet reached its receiver, by looking through the receiver's blocks.

The relayer learns from the results of a block that a packet was received, and these name no transactions.  To read the
transactions of every block as well would slow relaying down; so who asks about a packet pays for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import structlog

from relayer import queries
from relayer.blocks import find_receipt
from relayer.discovery import find_link, list_registered
from relayer.errors import AnswerMalformed, HeightsDisagree
from relayer.types import NO_HEIGHT, STAGE_NAMES, Duty, Height, Step, TxHash, TxState
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relayer.journal import JournalReader
    from relayer.nodes import ChainNodes
    from relayer.packetview import PacketView
    from relayer.types import ChainId, Link, PacketKey

LOG = structlog.get_logger(__name__)

COMMITTED: Final = STAGE_NAMES[Duty.ACKNOWLEDGE, Step.WAITING]
SUBMITTED: Final = STAGE_NAMES[Duty.RECEIVE, Step.SUBMITTED]
SEARCHED_BLOCKS: Final = 256
"""Blocks that are looked through: the journal knows the height, or one that is a little above."""
PATIENCE_S: Final = 5.0


async def add_delivery(
    view: PacketView,
    key: PacketKey,
    journal: JournalReader,
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
) -> PacketView:
    """Return a packet with the transaction in which it was received, as far as the chains tell.

    Raises:
      JournalUnusable: the journal cannot be read.

    """
    place = next((place for place, move in enumerate(view.moves) if move.stage == COMMITTED), None)
    if place is None:
        return view
    record = journal.find_packet(key)
    is_known = record is not None and record.duty is Duty.ACKNOWLEDGE
    top = record.provable_from - 1 if record is not None and is_known else 0
    ours = [TxHash(bytes.fromhex(move.tx_hash)) for move in view.moves[:place] if move.stage == SUBMITTED]
    try:
        async with asyncio.timeout(PATIENCE_S):
            found = await _find_delivery(key, Height(top), ours, hub, shards)
    except (AppError, TimeoutError) as error:
        LOG.warning("the delivery could not be looked up", packet=str(key), reason=str(error) or "no answer")
        return view
    if found is None:
        return view
    tx_hash, height = found
    committed = replace(
        view.moves[place], tx_hash=tx_hash.hex(), tx_state=TxState.INCLUDED.value, tx_height=height
    )
    return replace(view, moves=(*view.moves[:place], committed, *view.moves[place + 1 :]))


async def _find_delivery(
    key: PacketKey,
    top: Height,
    ours: list[TxHash],
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
) -> tuple[TxHash, Height] | None:
    """Return the transaction in which a packet was received, and its height, or None if that is not known any more."""
    shard = shards.get(key.sender.chain)
    if key.sender.chain == hub.chain_id:
        clients = await list_registered(hub)
        shard = next(
            (nodes for name, nodes in shards.items() if clients.get(name) == key.sender.client), None
        )
    if shard is None:
        return None
    link = (await find_link(hub, shard)).link
    if key.sender not in link.ends:
        return None
    receiver = shard if key.sender.chain == hub.chain_id else hub
    if not top and ours:
        # The journal has forgotten the packet.
        outcome = await queries.look_up_tx(receiver, ours[-1])
        top = NO_HEIGHT if outcome is None else outcome[0]
    async with receiver.search:
        return await _search_blocks(receiver, link, key, top)


async def _search_blocks(
    receiver: ChainNodes, link: Link, key: PacketKey, top: Height
) -> tuple[TxHash, Height] | None:
    links = dict.fromkeys(link.ends, link)
    # Without a proof at one height the journal goes on to the next, which may be above the chain's.
    top = min(top, (await queries.get_head(receiver)).height)
    for number in range(top, max(0, top - SEARCHED_BLOCKS), -1):
        height = Height(number)
        try:
            results = await queries.get_block_results(receiver, height)
        except HeightsDisagree:
            return None  # it is pruned
        place = find_receipt(receiver.chain_id, results, links, key)
        if place is not None:
            return await _hash_of(receiver, height, place, len(results.txs)), height
    return None


async def _hash_of(receiver: ChainNodes, height: Height, place: int, count: int) -> TxHash:
    block = await receiver.ask(lambda node: node.rpc.block(height))
    if len(block.txs) != count:
        raise AnswerMalformed(
            f"expected {count} transactions in block {height} of {receiver.chain_id}, got {len(block.txs)}"
        )
    return TxHash(sha256(block.txs[place]).digest())
