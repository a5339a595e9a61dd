"""Following a chain: news at once, blocks in order, and what happens after an outage."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from abci_app.rpc_async import AsyncCometRpc
from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from relayer import nodes, queries, watcher
from relayer.blocks import read_block
from relayer.events import BlockSeen, BlocksSkipped, HeadSeen
from relayer.types import ChainId, ClientId, Link, LinkEnd
from tests.support.relayer import HUB_CLIENT, SHARD_CLIENT, running_pair, until
from tests.support.relayer_watching import HUB, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

    from abci_app.rpc_answers import BlockResults
    from relayer.types import Height
    from tests.support.relayer import Pair

LINK = Link(LinkEnd(HUB, ClientId(HUB_CLIENT)), LinkEnd(ChainId("shard-1"), ClientId(SHARD_CLIENT)))


@contextmanager
def two_nodes(directory: Path) -> Iterator[tuple[PlayedNode, PlayedNode]]:
    """Run two hubs of one name, one of which a test may stop making blocks."""
    stuck = PlayedNode(HUB, ToyChain("hub"), directory / "stuck").start()
    alive = PlayedNode(HUB, ToyChain("hub"), directory / "alive").start()
    try:
        yield stuck, alive
    finally:
        stuck.stop()
        alive.stop()


def test_a_node_that_has_stopped_is_left_for_one_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "STALL_S", 0.5)

    async def test(stuck: PlayedNode, alive: PlayedNode) -> None:
        await until(lambda: stuck.height > 2, "some blocks")
        stuck.is_paused = True
        target = stuck.height + 5
        async with watched([stuck.address, alive.address], cursor=1) as hub:
            await hub.wait_for_block(target)

    with two_nodes(tmp_path) as (stuck, alive):
        asyncio.run(test(stuck, alive))


def test_a_node_that_has_stopped_is_left_although_others_are_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at how far all nodes are changes their order, and not which one is followed."""
    monkeypatch.setattr(watcher, "STALL_S", 1.0)
    monkeypatch.setattr(nodes, "LONGEST_COOLING_S", 1.0)

    async def test(stuck: PlayedNode, alive: PlayedNode) -> None:
        await until(lambda: stuck.height > 2, "some blocks")
        async with watched([stuck.address, alive.address], cursor=1) as hub:
            await hub.wait_for(lambda: len(hub.heads) > 2, "some heads of the first node")
            stuck.is_paused = True
            await until(lambda: alive.height > stuck.height + watcher.STALL_BLOCKS, "a node that is ahead")
            await hub.nodes.prefer_newest(watcher.STALL_BLOCKS, 3600.0)
            await hub.wait_for_block(alive.height + 5)

    with two_nodes(tmp_path) as (stuck, alive):
        asyncio.run(test(stuck, alive))


def test_a_block_that_came_before_a_link_was_known_tells_of_its_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are read when they come, and told of in their turn."""
    read: list[Height] = []
    honest = read_block

    def noting(chain: ChainId, results: BlockResults, links: Mapping[LinkEnd, Link]) -> BlockSeen:
        block = honest(chain, results, links)
        read.append(block.height)
        return block

    monkeypatch.setattr(watcher, "read_block", noting)

    async def test(pair: Pair) -> None:
        async with watched([pair.hub.address], cursor=1) as hub:
            await hub.wait_for(lambda: hub.all_of(BlockSeen), "the first block")
            hub.takes_blocks.clear()
            told = hub.all_of(BlockSeen)[-1].height
            await hub.wait_for(lambda: max(read) > told + 1, "a block that waits, and another behind it")
            pair.send_from_hub(2)
            sent_below = pair.hub.height + 3
            await hub.wait_for(lambda: max(read) >= sent_below, "the blocks that sent them")
            hub.links.update(dict.fromkeys(LINK.ends, LINK))
            hub.takes_blocks.set()
            await hub.wait_for(
                lambda: sum(len(block.sent) for block in hub.all_of(BlockSeen)) == 2, "both packets"
            )
            heights = [block.height for block in hub.all_of(BlockSeen)]
            assert heights == list(range(heights[0], heights[-1] + 1))

    with running_pair(tmp_path) as pair:
        asyncio.run(test(pair))


def test_blocks_that_are_still_to_be_read_hold_up_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage there are thousands to read, and nodes prove recent heights only."""

    async def hang(rpc: AsyncCometRpc, height: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(AsyncCometRpc, "block_results", hang)
    node = PlayedNode(HUB, ToyChain("hub"), tmp_path / "node", empty_s=0.02).start()

    async def test() -> None:
        await until(lambda: node.height > 2 * watcher.BLOCKS_AHEAD, "some blocks")
        async with watched([node.address], cursor=1) as hub:
            target = node.height + 3
            await hub.wait_for(lambda: max(hub.heads, default=0) >= target, "news of later blocks")

    try:
        asyncio.run(test())
    finally:
        node.stop()


def test_of_too_many_missed_blocks_none_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "MOST_BEHIND", 10)
    node = PlayedNode(HUB, ToyChain("hub"), tmp_path / "node", empty_s=0.05).start()

    async def read_some() -> list[BlockSeen | BlocksSkipped]:
        await until(lambda: node.height > 20, "some blocks")
        async with watched([node.address], cursor=1) as hub:
            await hub.wait_for(lambda: len(hub.all_of(BlockSeen, BlocksSkipped)) > 3, "what was read")
            return hub.all_of(BlockSeen, BlocksSkipped)

    try:
        first, *others = asyncio.run(read_some())
    finally:
        node.stop()
    assert isinstance(first, BlocksSkipped)
    assert first.height > 10
    following: list[Height] = [event.height for event in others]
    assert following == list(range(first.height + 1, first.height + 1 + len(others)))


def test_a_watcher_ends_when_it_is_told_to_while_heads_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = PlayedNode(HUB, ToyChain("hub"), tmp_path / "node", empty_s=0.02).start()

    async def doubt_again(self: watcher.Watcher) -> HeadSeen:
        self.nodes.doubts.set()
        return await queries.get_head(self.nodes)

    monkeypatch.setattr(watcher.Watcher, "_find_true_head", doubt_again)

    async def stop_after(pause_s: float) -> None:
        async with watched([node.address], cursor=1) as hub:
            hub.nodes.doubts.set()
            await hub.wait_for(lambda: len(hub.heads) > 3, "some heads")
            await asyncio.sleep(pause_s)
            assert hub.task is not None
            hub.task.cancel()
            await until(hub.task.done, "the end")

    async def test() -> None:
        for turn in range(40):
            await stop_after(turn / 4_000)

    try:
        asyncio.run(test())
    finally:
        node.stop()
