"""What is sampled of each node while the relayer runs: the checks of `relayer health`, as metrics."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.played.app import RELAYER
from relayer.config import HealthConfig, NodeAddress
from relayer.keyring import KeyRing
from relayer.metrics import NODE_CHECKS, RelayMetrics
from relayer.sampler import Sampler
from relayer.service import connected
from tests.support.ports import free_ports
from tests.support.relayer import running_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relayer.config import RelayerConfig
    from tests.support.relayer import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path, linked=False) as running:
        yield running


def sample(config: RelayerConfig) -> RelayMetrics:
    """Return the metrics after one look."""
    metrics = RelayMetrics()

    async def look() -> None:
        async with connected(config) as (hub, shards):
            keys = KeyRing({hub.chain_id: (RELAYER,)})
            await Sampler(config, hub, shards, keys, metrics).sample()

    asyncio.run(look())
    return metrics


def with_hub_nodes(pair: Pair, *nodes: NodeAddress) -> RelayerConfig:
    return replace(pair.config, hub=replace(pair.config.hub, nodes=nodes, min_balance=7))


def is_up(metrics: RelayMetrics, chain: str, node: NodeAddress) -> float | None:
    return metrics.registry.get_sample_value("gradchain_relayer_node_up", {"chain": chain, "node": node.rpc})


def find_problems(metrics: RelayMetrics, chain: str, node: NodeAddress) -> set[str]:
    def look(check: str) -> float:
        labels = {"chain": chain, "node": node.rpc, "check": check}
        value = metrics.registry.get_sample_value("gradchain_relayer_node_problem", labels)
        assert value is not None
        return value

    return {check for check in NODE_CHECKS if look(check)}


def test_nodes_that_are_well_have_no_problem(pair: Pair) -> None:
    metrics = sample(pair.config)
    for chain, node in (("hub-1", pair.hub.address), ("shard-1", pair.shard.address)):
        assert is_up(metrics, chain, node) == 1.0
        assert find_problems(metrics, chain, node) == set()


def test_a_dead_node_is_seen_though_nobody_needs_it(pair: Pair) -> None:
    rpc, grpc = free_ports(2)
    dead = NodeAddress(f"http://127.0.0.1:{rpc}", f"127.0.0.1:{grpc}")
    metrics = sample(with_hub_nodes(pair, pair.hub.address, dead))
    assert is_up(metrics, "hub-1", pair.hub.address) == 1.0
    assert is_up(metrics, "hub-1", dead) == 0.0
    assert find_problems(metrics, "hub-1", dead) == set()


def test_a_node_of_another_chain_is_seen(pair: Pair) -> None:
    metrics = sample(with_hub_nodes(pair, pair.hub.address, pair.shard.address))
    assert find_problems(metrics, "hub-1", pair.shard.address) == {"chain_id"}
    assert find_problems(metrics, "hub-1", pair.hub.address) == set()


def test_a_clock_that_is_wrong_is_seen(pair: Pair) -> None:
    pair.shard.clock_ahead_s = 60.0
    metrics = sample(pair.config)
    assert find_problems(metrics, "shard-1", pair.shard.address) == {"clock"}


def test_a_chain_that_stands_still_is_seen(pair: Pair) -> None:
    # Its newest block is always older than one that must come from the future.
    config = replace(pair.config, health=HealthConfig(max_block_age_s=-10, max_clock_skew_s=60))
    metrics = sample(config)
    assert find_problems(metrics, "hub-1", pair.hub.address) == {"block_age"}


def test_what_an_account_holds_and_should_hold_is_seen(pair: Pair) -> None:
    pair.hub.toy.balances[RELAYER.public_key] = 3
    metrics = sample(with_hub_nodes(pair, pair.hub.address))
    values = {
        found.name: found.value
        for family in metrics.registry.collect()
        for found in family.samples
        if found.name.startswith("gradchain_relayer_balance")
    }
    assert values == {"gradchain_relayer_balance": 3.0, "gradchain_relayer_balance_minimum": 7.0}
