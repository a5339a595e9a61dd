"""Of several nodes of a chain the newest is believed: by commands that read, and by a relayer that starts."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from relayer import service, watcher
from relayer.config import NodeAddress
from relayer.nodes import connect
from relayer.types import ChainId
from tests.support.relayer import ended, until
from tests.support.relayer_cli import run_json, send, write_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from relayer.config import RelayerConfig
    from relayer.nodes import ChainNodes
    from tests.support.relayer import Pair

DEAD = NodeAddress("http://127.0.0.1:9", "127.0.0.1:9")


@contextmanager
def lagging_hub(directory: Path) -> Iterator[PlayedNode]:
    """Run a node of the hub that has stopped at one of its first blocks, before there was a link."""
    node = PlayedNode("hub-1", ToyChain("hub"), directory / "lagging").start()
    node.is_paused = True
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def silent_node() -> Iterator[NodeAddress]:
    """Take connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield NodeAddress(f"http://{address}", address)


def first_choices(addresses: list[NodeAddress], slack_blocks: int = 0) -> list[NodeAddress]:
    """Return the order in which the nodes of the hub are asked when it is known how far they are."""

    async def ask() -> list[NodeAddress]:
        nodes = connect(ChainId("hub-1"), "hub", addresses, 5.0)
        await nodes.prefer_newest(slack_blocks)
        order = _order(nodes)
        await nodes.close()
        return order

    return asyncio.run(ask())


def _order(nodes: ChainNodes) -> list[NodeAddress]:
    return [node.address for node in nodes._in_order()]


def test_commands_believe_the_newest_node(pair: Pair, tmp_path: Path) -> None:
    send(pair, from_hub=2)
    with lagging_hub(tmp_path) as lagging:
        eventually(lambda: pair.hub.height > lagging.height, "a hub that is further")
        write_config(pair.with_nodes((lagging, pair.hub)))
        status = run_json(pair, "status")
        assert status["chains"][0]["height"] > lagging.height
        assert [end["pending"] for end in status["links"][0]["ends"]] == [2, 0]
        assert run_json(pair, "pending")["total"] == 2
        assert [row["status"] for row in run_json(pair, "clients")["clients"]] == ["active", "active"]


def test_a_relayer_starts_with_the_newest_node(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would follow the other one until it notices that no block comes."""
    monkeypatch.setattr(watcher, "STALL_S", 3600.0)
    with lagging_hub(tmp_path) as lagging:
        eventually(lambda: pair.hub.height > lagging.height + watcher.STALL_BLOCKS, "a hub that is further")
        _relay_a_packet(pair, pair.with_nodes((lagging, pair.hub)))


def test_a_running_relayer_turns_to_the_newest_node_again(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MEASURE_EVERY_S", 0.05)
    with lagging_hub(tmp_path) as other:

        async def test() -> None:
            nodes = connect(ChainId("hub-1"), "hub", [other.address, pair.hub.address], 5.0)
            task = asyncio.create_task(service._prefer_newest([nodes]))
            await until(lambda: _order(nodes)[0] == pair.hub.address, "the newest node to be first", task)
            pair.hub.is_paused = True
            other.is_paused = False
            await until(lambda: _order(nodes)[0] == other.address, "the one that goes on to be first", task)
            task.cancel()
            await asyncio.wait([task])
            await nodes.close()

        asyncio.run(test())


def _relay_a_packet(pair: Pair, config: RelayerConfig) -> None:
    async def relay_it() -> None:
        task = asyncio.create_task(service.relay(config))
        pair.send_from_hub()
        await until(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement", task)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(relay_it())


def test_a_dead_node_and_one_that_lags_come_after_the_newest(pair: Pair, tmp_path: Path) -> None:
    with lagging_hub(tmp_path) as lagging:
        eventually(lambda: pair.hub.height > lagging.height, "a hub that is further")
        newest = pair.hub.address
        assert first_choices([DEAD, lagging.address, newest]) == [newest, lagging.address, DEAD]


def test_nodes_that_are_about_as_far_keep_their_order(pair: Pair, tmp_path: Path) -> None:
    with lagging_hub(tmp_path) as lagging:
        order = [lagging.address, pair.hub.address]
        eventually(lambda: pair.hub.height > lagging.height, "a hub that is further")
        assert first_choices(order, slack_blocks=1_000_000) == order


def test_a_node_of_another_chain_is_not_the_newest(pair: Pair, tmp_path: Path) -> None:
    with lagging_hub(tmp_path) as lagging:
        eventually(lambda: pair.shard.height > lagging.height, "a shard that is further")
        order = first_choices([pair.shard.address, lagging.address])
        assert order == [lagging.address, pair.shard.address]


def test_a_node_that_says_nothing_does_not_hold_up_a_command(pair: Pair) -> None:
    with silent_node() as silent:
        assert first_choices([silent, pair.hub.address]) == [pair.hub.address, silent]


def test_nodes_that_are_all_dead_keep_their_order(pair: Pair) -> None:
    with silent_node() as silent:
        other = replace(silent, rpc=DEAD.rpc)
        assert first_choices([silent, other])[0] == silent
    write_config(replace(pair.config, hub=replace(pair.config.hub, nodes=(DEAD, other))))
    assert "relayer/21" in run_json(pair, "status")["chains"][0]["error"]
