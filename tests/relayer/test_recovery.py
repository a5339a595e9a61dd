"""Clients that are brought back, between played chains."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from ibc.state import require_client
from relayer.config import TrustedHeader
from relayer.errors import AuthorityMissing, ShardUnknown, TrustedHeaderMismatch, WitnessDisagrees
from relayer.service import recover_clients
from relayer.types import ChainId, Height
from tests.support.relayer import HUB_CLIENT, ended, running_pair, running_relayer, until
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from relayer.config import RelayerConfig
    from relayer.link import LinkedShard
    from tests.support.relayer import Pair

SHARD = ChainId("shard-1")
SUBSTITUTE = "07-tendermint-1"


def is_frozen(pair: Pair) -> bool:
    return require_client(pair.hub.store.latest(), HUB_CLIENT).is_frozen


def recover(config: RelayerConfig) -> LinkedShard:
    return asyncio.run(recover_clients(config, SHARD))


def fork_off(pair: Pair, directory: Path) -> RelayerConfig:
    """Let a relayer find a fork of the shard; return the configuration in which it did."""
    fork = PlayedNode("shard-1", ToyChain("shard"), directory / "fork").start()
    config = pair.with_shard_nodes(pair.shard, fork)

    async def run() -> None:
        async with running_relayer(config, fork_pause_s=0.1) as task:
            await until(lambda: is_frozen(pair), "the client to be frozen", task)

    try:
        asyncio.run(run())
        with pytest.raises(WitnessDisagrees):
            recover(config)
    finally:
        fork.stop()
    return config


def test_a_frozen_link_works_again(pair: Pair, tmp_path: Path) -> None:
    fork_off(pair, tmp_path)
    linked = recover(pair.config)
    assert linked.steps == (f"client recovered: {HUB_CLIENT} on hub-1, from {SUBSTITUTE}",)
    assert not is_frozen(pair)

    async def run() -> None:
        async with running_relayer(pair.config) as task:
            pair.send_from_hub(2)
            await until(lambda: ended(pair.hub) == ["acknowledged"] * 2, "two acknowledgements", task)

    asyncio.run(run())


def test_a_substitute_starts_from_the_header_that_the_operator_names(pair: Pair, tmp_path: Path) -> None:
    fork_off(pair, tmp_path)
    height = pair.shard.height
    trusted = TrustedHeader(Height(height), pair.shard.blocks[height].hash)

    def trusting(config: RelayerConfig) -> RelayerConfig:
        return replace(config, shards=(replace(config.shards[0], trusted=trusted),))

    fork = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "again").start()
    try:
        eventually(lambda: fork.height >= height, "the fork to reach the trusted height")
        with pytest.raises(TrustedHeaderMismatch):
            recover(trusting(pair.with_shard_nodes(pair.shard, fork)))
    finally:
        fork.stop()
    assert recover(trusting(pair.config)).steps
    client = require_client(pair.hub.store.latest(), HUB_CLIENT)
    assert (client.is_frozen, client.latest_height.height) == (False, height)


def test_what_works_is_not_recovered(pair: Pair) -> None:
    assert recover(pair.config).steps == ()


def test_an_expired_client_is_recovered(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        short = replace(pair.config, client=replace(pair.config.client, trusting_period_s=6))
        from relayer.service import link_chains

        asyncio.run(link_chains(short))
        pair.wait_for_time(time.time_ns() + 6 * 10**9)
        linked = recover(pair.config)
        assert [step.partition(":")[0] for step in linked.steps] == ["client recovered"] * 2


def test_recovery_needs_the_key_of_the_authority(pair: Pair, tmp_path: Path) -> None:
    fork_off(pair, tmp_path)
    with pytest.raises(AuthorityMissing):
        recover(replace(pair.config, hub=replace(pair.config.hub, authority_key_file=None)))


def test_only_shards_of_the_configuration_are_recovered(pair: Pair) -> None:
    with pytest.raises(ShardUnknown):
        asyncio.run(recover_clients(pair.config, ChainId("shard-9")))
