"""One node of a chain lies about its newest block, in front of one that does not: the relayer goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import EndpointUnreachable
from bench.played.answers import encode_error, encode_result
from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from bench.played.rpc import PlayedRpc
from relayer import evidence, queries, watcher
from relayer.actions import PutCursor
from relayer.config import NodeAddress
from relayer.errors import HeightsDisagree
from relayer.events import BlocksSkipped, HeadSeen
from relayer.journal import Journal
from relayer.types import Height
from tests.support.relayer import ended, running_pair, running_relayer, until
from tests.support.relayer_watching import watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relayer.config import RelayerConfig
    from relayer.nodes import Node
    from relayer.types import ChainId
    from wire.tendermint.types import types_pb2

FAR = 10**12


@contextmanager
def lying(honest: PlayedNode, *, shows_header: bool) -> Iterator[NodeAddress]:
    """Run a node that claims a block far above those of an honest one, with or without its header."""

    def answer(path: str, query: dict[str, str]) -> bytes:
        if path == "/abci_info":
            app_hash = base64.b64encode(bytes(32)).decode()
            state = {"last_block_height": str(FAR), "last_block_app_hash": app_hash}
            return encode_result({"response": state})
        if path == "/header" and int(query["height"]) > honest.height:
            if not shows_header:
                return encode_error("no such header for you")
            told = json.loads(honest._answer_locked(path, {"height": str(honest.height)}))
            told["result"]["header"] |= {"height": query["height"], "time": "2100-01-01T00:00:00Z"}
            return encode_result(told["result"])
        return honest._answer_locked(path, query)

    rpc = PlayedRpc(answer, time.time)
    rpc.start()
    try:
        yield NodeAddress(f"http://127.0.0.1:{rpc.port}", honest.address.grpc)
    finally:
        rpc.stop()


def with_liar(config: RelayerConfig, liar: NodeAddress) -> RelayerConfig:
    """Return a configuration in which the hub's first node lies."""
    return replace(config, hub=replace(config.hub, nodes=(liar, *config.hub.nodes)))


@pytest.mark.parametrize("shows_header", [True, False])
@pytest.mark.parametrize("cursor", [0, 1])
def test_blocks_are_followed_after_one_node_has_named_a_false_height(
    tmp_path: Path, cursor: int, shows_header: bool
) -> None:
    with running_pair(tmp_path, linked=False) as pair, lying(pair.hub, shows_header=shows_header) as liar:

        async def test() -> None:
            async with watched([liar, pair.hub.address], cursor) as hub:
                await hub.wait_for(lambda: hub.heads, "a head")
                if shows_header:
                    # As the prover does, and whoever lists packets.
                    with pytest.raises(HeightsDisagree):
                        await queries.get_light_block(hub.nodes, Height(FAR))
                await hub.wait_for_block(pair.hub.height + 3)
                assert hub.heads[-1] <= pair.hub.height
                skips = hub.all_of(BlocksSkipped)
                assert not skips or skips[-1].height <= pair.hub.height

        asyncio.run(test())


@pytest.mark.parametrize("shows_header", [True, False])
def test_packets_are_relayed_although_one_node_names_a_false_height(
    tmp_path: Path, shows_header: bool
) -> None:
    with running_pair(tmp_path) as pair, lying(pair.hub, shows_header=shows_header) as liar:

        async def test() -> None:
            async with running_relayer(with_liar(pair.config, liar)) as task:
                await asyncio.sleep(0.5)
                pair.send_from_hub(2)
                pair.send_from_shard()
                await until(
                    lambda: (
                        (ended(pair.hub), ended(pair.shard))
                        == (["acknowledged", "acknowledged"], ["acknowledged"])
                    ),
                    "the ends of all packets",
                    task,
                )

        asyncio.run(test())


def test_packets_are_relayed_although_a_false_height_was_remembered(tmp_path: Path) -> None:
    """The relayer was stopped before it took the height back."""
    with running_pair(tmp_path) as pair:
        with Journal(pair.config.journal) as journal:
            journal.write([PutCursor(pair.config.hub.chain_id, Height(FAR))])
            journal.commit()

        async def test() -> None:
            async with running_relayer(pair.config) as task:
                await asyncio.sleep(0.5)
                pair.send_from_hub(2)
                await until(
                    lambda: ended(pair.hub) == ["acknowledged", "acknowledged"],
                    "the ends of all packets",
                    task,
                )

        asyncio.run(test())


@pytest.mark.parametrize("shows_block", [True, False])
def test_a_node_is_believed_that_is_far_ahead_of_one_that_lags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shows_block: bool
) -> None:
    fetch_block = evidence.fetch_block

    async def fetch(node: Node, height: int) -> types_pb2.LightBlock:
        if node.address == lagging.address and not shows_block:
            raise EndpointUnreachable("too busy")
        return await fetch_block(node, height)

    monkeypatch.setattr(evidence, "fetch_block", fetch)
    with running_pair(tmp_path, linked=False) as pair:
        lagging = PlayedNode(pair.config.hub.chain_id, ToyChain("hub"), tmp_path / "lagging").start()
        lagging.is_paused = True

        async def test() -> None:
            async with watched([pair.hub.address, lagging.address], cursor=0) as hub:
                far = lagging.height + watcher.STALL_BLOCKS + 1
                await hub.wait_for(lambda: max(hub.heads, default=0) > far, "a node that is far ahead")
                hub.nodes.doubts.set()
                await hub.wait_for(lambda: not hub.nodes.doubts.is_set(), "a look at the nodes")
                target = hub.heads[-1] + 3
                await hub.wait_for(lambda: hub.heads[-1] > target, "later heads")
                assert hub.heads == sorted(hub.heads)
                assert not any(node.failures or node.doubted_until_s for node in hub.nodes.nodes)

        try:
            asyncio.run(test())
        finally:
            lagging.stop()


def test_a_node_is_believed_whose_height_others_reach_during_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes that catch up do hundreds of blocks a second, and one that answers late has made some meanwhile."""
    ask_head = queries.ask_head
    looks: list[Height] = []
    with running_pair(tmp_path, linked=False) as pair:
        lagging = PlayedNode(pair.config.hub.chain_id, ToyChain("hub"), tmp_path / "lagging").start()
        lagging.is_paused = True

        async def catch_up(chain: ChainId, node: Node) -> HeadSeen:
            lagging.is_paused = False
            await until(lambda: lagging.height > pair.hub.height, "a node that has caught up")
            head = await ask_head(chain, node)
            looks.append(head.height)
            return head

        async def test() -> None:
            async with watched([pair.hub.address, lagging.address], cursor=0) as hub:
                far = lagging.height + watcher.STALL_BLOCKS + 1
                await hub.wait_for(lambda: max(hub.heads, default=0) > far, "a node that is far ahead")
                pair.hub.is_paused = True
                monkeypatch.setattr(queries, "ask_head", catch_up)
                hub.nodes.doubts.set()
                await hub.wait_for(lambda: looks, "a look at the nodes")
                pair.hub.is_paused = False
                await hub.wait_for(lambda: hub.heads[-1] > looks[0] + 3, "later heads")
                assert not any(node.doubted_until_s for node in hub.nodes.nodes)

        try:
            asyncio.run(test())
        finally:
            lagging.stop()
