"""Following a chain: news at once, blocks in order, and what happens after an outage."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from abci_app.rpc_async import AsyncCometRpc
from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from relayer import watcher
from relayer.events import BlockSeen, BlocksSkipped, HeadSeen
from relayer.nodes import connect
from relayer.types import ChainId, Height
from tests.support.relayer import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_node_that_has_stopped_is_left_for_one_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "STALL_S", 0.5)
    stuck = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "stuck").start()
    alive = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "alive").start()
    try:

        async def test() -> None:
            await until(lambda: stuck.height > 2, "some blocks")
            stuck.is_paused = True
            nodes = connect(ChainId("hub-1"), "hub", [stuck.address, alive.address], 5.0)
            seen: list[object] = []

            async def put(event: object) -> None:
                seen.append(event)

            task = asyncio.create_task(watcher.Watcher(nodes, {}, put, Height(1)).run())
            target = stuck.height + 5
            await until(
                lambda: any(isinstance(event, BlockSeen) and event.height >= target for event in seen),
                "blocks above those of the node that has stopped",
                task,
            )
            task.cancel()
            await asyncio.wait([task])
            await nodes.close()

        asyncio.run(test())
    finally:
        stuck.stop()
        alive.stop()


def test_blocks_that_are_still_to_be_read_hold_up_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage there are thousands to read, and nodes prove recent heights only."""

    async def hang(rpc: AsyncCometRpc, height: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(AsyncCometRpc, "block_results", hang)
    node = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "node", empty_s=0.02).start()
    try:

        async def test() -> None:
            await until(lambda: node.height > 2 * watcher.BLOCKS_AHEAD, "some blocks")
            nodes = connect(ChainId("hub-1"), "hub", [node.address], 5.0)
            seen: list[object] = []

            async def put(event: object) -> None:
                seen.append(event)

            task = asyncio.create_task(watcher.Watcher(nodes, {}, put, Height(1)).run())
            target = node.height + 3
            await until(
                lambda: any(isinstance(event, HeadSeen) and event.height >= target for event in seen),
                "news of later blocks",
                task,
            )
            task.cancel()
            await asyncio.wait([task])
            await nodes.close()

        asyncio.run(test())
    finally:
        node.stop()


def test_of_too_many_missed_blocks_none_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "MOST_BEHIND", 10)
    node = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "node", empty_s=0.05).start()
    try:

        async def test() -> None:
            await until(lambda: node.height > 20, "some blocks")
            nodes = connect(ChainId("hub-1"), "hub", [node.address], 5.0)
            seen: list[BlockSeen | BlocksSkipped] = []

            async def put(event: object) -> None:
                if isinstance(event, BlockSeen | BlocksSkipped):
                    seen.append(event)

            task = asyncio.create_task(watcher.Watcher(nodes, {}, put, Height(1)).run())
            await until(lambda: len(seen) > 3, "what was read", task)
            task.cancel()
            await asyncio.wait([task])
            await nodes.close()
            first, *others = seen
            assert isinstance(first, BlocksSkipped)
            assert first.height > 10
            assert [event.height for event in others] == [
                first.height + number for number in range(1, len(seen))
            ]

        asyncio.run(test())
    finally:
        node.stop()
