"""Forks, found by a relayer between played chains: real headers, real votes, real evidence."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from ibc.client_state import MISBEHAVIOUR_URL
from ibc.errors import NoMisbehaviour
from ibc.state import require_client
from relayer.evidence import Follower, find_parting, show_fork
from relayer.metrics import RelayMetrics
from relayer.nodes import connect
from relayer.types import ChainId, ClientId, Height, LinkEnd
from tests.support.relayer import (
    HUB_CLIENT,
    SHARD_CLIENT,
    connected,
    ended,
    running_relayer,
    until,
)
from tests.support.relayer_teach import teach_forged_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.relayer import Pair

HUB = LinkEnd(ChainId("hub-1"), ClientId(HUB_CLIENT))
FAST_S = 0.1


@pytest.fixture
def fork(tmp_path: Path) -> Iterator[PlayedNode]:
    """A second chain of the shard's name, whose blocks the same validators have signed."""
    node = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "fork").start()
    yield node
    node.stop()


@pytest.fixture
def hub_fork(tmp_path: Path) -> Iterator[PlayedNode]:
    """The same of the hub."""
    node = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "fork").start()
    yield node
    node.stop()


def is_frozen(node: PlayedNode, client_id: str) -> bool:
    return require_client(node.store.latest(), client_id).is_frozen


def count(metrics: RelayMetrics, chain: str, outcome: str) -> float:
    labels = {"chain": chain, "outcome": outcome}
    return metrics.registry.get_sample_value("gradchain_relayer_misbehaviours_total", labels) or 0.0


def blocked(metrics: RelayMetrics, chain: str, client: str) -> float:
    labels = {"chain": chain, "client": client}
    return metrics.registry.get_sample_value("gradchain_relayer_blocked", labels) or 0.0


def active(metrics: RelayMetrics, chain: str, client: str) -> float | None:
    labels = {"chain": chain, "client": client}
    return metrics.registry.get_sample_value("gradchain_relayer_client_active", labels)


def test_a_forked_shard_is_frozen_on_the_hub(pair: Pair, fork: PlayedNode) -> None:
    metrics = RelayMetrics()
    config = pair.with_shard_nodes(pair.shard, fork)

    async def run() -> None:
        async with running_relayer(config, metrics, FAST_S) as task:
            await until(lambda: is_frozen(pair.hub, HUB_CLIENT), "the client to be frozen", task)
            await until(lambda: count(metrics, "shard-1", "frozen"), "the count", task)
            await until(lambda: blocked(metrics, "hub-1", HUB_CLIENT), "the lane to be blocked", task)
            await until(lambda: active(metrics, "hub-1", HUB_CLIENT) == 0.0, "the look at the client", task)

    asyncio.run(run())
    assert count(metrics, "shard-1", "frozen") == 1
    assert active(metrics, "shard-1", SHARD_CLIENT) == 1.0
    assert not is_frozen(pair.shard, SHARD_CLIENT)


def test_a_forked_hub_is_frozen_on_its_shard(pair: Pair, hub_fork: PlayedNode) -> None:
    """Relaying to the shard is free and must be needed; evidence always is."""
    config = pair.with_nodes((pair.hub, hub_fork))

    async def run() -> None:
        async with running_relayer(config, fork_pause_s=FAST_S) as task:
            await until(lambda: is_frozen(pair.shard, SHARD_CLIENT), "the client to be frozen", task)

    asyncio.run(run())
    assert not is_frozen(pair.hub, HUB_CLIENT)


def test_two_nodes_of_one_chain_are_no_fork(pair: Pair) -> None:
    metrics = RelayMetrics()
    config = pair.with_shard_nodes(pair.shard, pair.shard)

    async def run() -> None:
        async with running_relayer(config, metrics, FAST_S) as task:
            pair.send_from_hub(3)
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 3, "three acknowledgements", task)
            await asyncio.sleep(10 * FAST_S)

    asyncio.run(run())
    assert not is_frozen(pair.hub, HUB_CLIENT)
    assert [count(metrics, "shard-1", name) for name in ("frozen", "unproven", "refused")] == [0, 0, 0]


def test_a_node_that_makes_headers_up_freezes_nothing(pair: Pair, fork: PlayedNode) -> None:
    """Its headers are signed by nobody: a lie, which costs no transaction."""
    sign = fork._sign

    def forge(header: object) -> dict[str, object]:
        commit = sign(header)  # type: ignore[arg-type]
        slots = commit["signatures"]
        assert isinstance(slots, list)
        return {**commit, "signatures": [{**slot, "signature": "AA" * 42 + "AAA="} for slot in slots]}

    fork._sign = forge  # type: ignore[method-assign]
    metrics = RelayMetrics()
    config = pair.with_shard_nodes(pair.shard, fork)

    async def run() -> None:
        async with running_relayer(config, metrics, FAST_S) as task:
            await until(lambda: count(metrics, "shard-1", "unproven"), "the lie to be noticed", task)

    asyncio.run(run())
    assert not is_frozen(pair.hub, HUB_CLIENT)


def test_a_client_that_was_shown_a_forged_header_is_frozen(pair: Pair, fork: PlayedNode) -> None:
    """Somebody else updates the client with a header of the fork; the relayer knows true nodes only."""
    asyncio.run(teach_forged_header(pair, fork))
    metrics = RelayMetrics()

    async def watch() -> None:
        async with running_relayer(pair.config, metrics, FAST_S) as task:
            await until(lambda: is_frozen(pair.hub, HUB_CLIENT), "the client to be frozen", task)
            await until(lambda: count(metrics, "shard-1", "frozen"), "the count", task)

    asyncio.run(watch())


def test_the_height_at_which_a_fork_starts_is_found(pair: Pair, fork: PlayedNode) -> None:
    """The second node was a copy of the first until it left the chain."""
    asyncio.run(until(lambda: min(pair.shard.height, fork.height) > 12, "some blocks"))
    fork.blocks.update({height: block for height, block in pair.shard.blocks.items() if height <= 9})

    async def run() -> None:
        nodes = connect(ChainId("shard-1"), "shard", (pair.shard.address, fork.address), 5.0)
        one, other = nodes.nodes
        try:
            assert await find_parting((one, other), Height(1), Height(12)) == 10
            async with connected(pair.config) as (hub, _):
                known = require_client(pair.hub.store.latest(), HUB_CLIENT).latest_height.height
                follower = Follower(HUB, hub)
                evidence = await show_fork(follower, (one, other), Height(12), time.time_ns())
                assert evidence.height == max(10, known + 1)
                assert [message.type_url for message in evidence.shown] == [MISBEHAVIOUR_URL]
                with pytest.raises(NoMisbehaviour):
                    await show_fork(follower, (one, one), Height(12), time.time_ns())
        finally:
            await nodes.close()

    asyncio.run(run())
