"""Questions about packets, asked of a chain one of whose nodes lags behind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from relayer.actions import ListPending, QueryPacket
from relayer.errors import HeightsDisagree
from relayer.nodes import ChainNodes, connect
from relayer.open_packets import get_packet_status, list_pending, list_some_pending
from relayer.types import NO_HEIGHT, ChainId, ClientId, Height, Link, LinkEnd, PacketKey
from tests.support.relayer import HUB_CLIENT, SHARD_CLIENT, running_pair, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from relayer.config import NodeAddress

HUB = LinkEnd(ChainId("hub-1"), ClientId(HUB_CLIENT))
SHARD = LinkEnd(ChainId("shard-1"), ClientId(SHARD_CLIENT))
LINK = Link(HUB, SHARD)
KEY = PacketKey(HUB, 1)


@dataclass(frozen=True)
class Nodes:
    """Addresses of a shard's node, of a hub's that is ahead and of one that lags, and the height of a packet."""

    shard: NodeAddress
    ahead: NodeAddress
    behind: NodeAddress
    sent_at: Height


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("chains")
    behind = PlayedNode("hub-1", ToyChain("hub"), folder / "behind").start()
    try:
        behind.is_paused = True
        with running_pair(folder) as pair:

            async def find_height() -> Height:
                hub = connect(HUB.chain, "hub", [pair.hub.address], 5.0)
                (sent,) = await list_pending(hub, HUB, LINK)
                await hub.close()
                return sent.height

            asyncio.run(
                until(lambda: pair.hub.height > behind.height + 1, "blocks above those of the other node")
            )
            pair.send_from_hub()
            asyncio.run(until(pair.hub.has_sent, "the packet to be sent"))
            yield Nodes(pair.shard.address, pair.hub.address, behind.address, asyncio.run(find_height()))
    finally:
        behind.stop()


@asynccontextmanager
async def connected_to(nodes: Nodes, *hub: NodeAddress) -> AsyncIterator[tuple[ChainNodes, ChainNodes]]:
    source, target = connect(HUB.chain, "hub", hub, 5.0), connect(SHARD.chain, "shard", [nodes.shard], 5.0)
    try:
        yield source, target
    finally:
        await source.close()
        await target.close()


async def list_from(nodes: Nodes, least: Height, *hub: NodeAddress) -> list[PacketKey]:
    async with connected_to(nodes, *hub) as (source, target):
        listed = await list_some_pending(source, target, LINK, ListPending(HUB, SHARD, least_height=least))
        return [packet.sent.key for packet in listed.packets]


async def is_open(nodes: Nodes, least: Height, *hub: NodeAddress) -> bool:
    async with connected_to(nodes, *hub) as (source, target):
        return (await get_packet_status(source, target, QueryPacket(KEY, SHARD, least))).committed


def test_a_node_that_lags_behind_hides_no_packet_from_a_list(nodes: Nodes) -> None:
    both = (nodes.behind, nodes.ahead)
    assert asyncio.run(list_from(nodes, NO_HEIGHT, *both)) == [], "the node that lags does not come first"
    assert asyncio.run(list_from(nodes, nodes.sent_at, *both)) == [KEY]


def test_a_node_that_lags_behind_calls_no_open_packet_ended(nodes: Nodes) -> None:
    both = (nodes.behind, nodes.ahead)
    assert not asyncio.run(is_open(nodes, NO_HEIGHT, *both)), "the node that lags does not come first"
    assert asyncio.run(is_open(nodes, nodes.sent_at, *both))


def test_nothing_is_said_of_packets_while_all_nodes_lag_behind(nodes: Nodes) -> None:
    with pytest.raises(HeightsDisagree, match=f"expected the state of height {nodes.sent_at} or later"):
        asyncio.run(list_from(nodes, nodes.sent_at, nodes.behind))
    with pytest.raises(HeightsDisagree):
        asyncio.run(is_open(nodes, nodes.sent_at, nodes.behind))
