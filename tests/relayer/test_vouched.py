"""Nodes and light clients that exist are compared with the header that the operator vouches for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bench.played.app import ToyChain
from bench.played.node import PlayedNode
from cli.errors import Exit
from ibc.state import require_client
from ibc.tendermint import TrustedState
from ibc.times import time_from_wire
from relayer import vouched
from relayer.cli_checks import examine_live
from relayer.config import HealthConfig, TrustedHeader
from relayer.errors import ClientAstray, TrustedHeaderMismatch
from relayer.evidence import Follower
from relayer.nodes import connect
from relayer.service import link_chains
from relayer.types import NS_PER_SECOND, ChainId, ClientId, Height, LinkEnd
from relayer.vouched import Comparison, Vouched, compare_client
from tests.support.relayer import HUB_CLIENT, SHARD_CLIENT, connected, running_pair
from tests.support.relayer_cli import run, run_json, write_config
from tests.support.relayer_teach import known_height, teach_forged_header, teach_header
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relayer.config import RelayerConfig
    from relayer.examine import Check
    from tests.support.relayer import Pair

HUB_END = f"hub-1/{HUB_CLIENT}"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path) as running:
        # A shard that makes its blocks soon: tests wait for some of them.
        running.shard.empty_s = 0.05
        running.config = replace(
            running.config,
            hub=replace(running.config.hub, min_balance=0),
            # A fork is another chain, and may be longer or shorter.
            health=HealthConfig(max_lag_blocks=10**6),
        )
        yield running


@pytest.fixture
def fork(tmp_path: Path) -> Iterator[PlayedNode]:
    """A second chain of the shard's name, whose blocks the same validators have signed."""
    node = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "fork", empty_s=0.05).start()
    yield node
    node.stop()


def vouching(config: RelayerConfig, node: PlayedNode, height: int) -> RelayerConfig:
    """Return a configuration that names the header of the shard that a node has at a height."""
    eventually(lambda: node.height > height, "a block above the trusted header")
    trusted = TrustedHeader(Height(height), node.blocks[height].hash)
    return replace(config, shards=(replace(config.shards[0], trusted=trusted),))


def examined(pair: Pair, config: RelayerConfig, exit_code: int = 0) -> dict[str, dict[str, Any]]:
    """Return what `config validate --live` says of the trusted header, by what it is about."""
    write_config(config)
    found = run_json(pair, "config", "validate", "--live", exit_code=exit_code)
    checks = [check for check in found["checks"] if check["name"] == "trusted header"]
    assert [check for check in found["checks"] if not check["is_good"] and check not in checks] == []
    assert len({check["subject"] for check in checks}) == len(checks)
    return {check["subject"]: check for check in checks}


def examined_later(config: RelayerConfig, seconds: int) -> dict[str, Check]:
    """Return the same as it will be said in some time."""
    examination, _ = asyncio.run(examine_live(config, time.time_ns() + seconds * NS_PER_SECOND))
    return {check.subject: check for check in examination.checks if check.name == "trusted header"}


def is_agreed(check: dict[str, Any]) -> bool:
    return bool(check["is_good"]) and not check["is_note"]


def link(config: RelayerConfig) -> tuple[str, ...]:
    """Link what is linked already, and return what could not be compared."""
    (linked,) = asyncio.run(link_chains(config))
    assert linked.steps == ()
    return linked.notes


# --- nodes -----------------------------------------------------------------------------------------------------------


def test_every_node_is_asked_for_the_trusted_header(pair: Pair) -> None:
    found = examined(pair, vouching(pair.config, pair.shard, 2))
    assert set(found) == {pair.shard.address.rpc, "shard-1", HUB_END}
    assert all(map(is_agreed, found.values())), found


def test_a_node_that_has_another_header_fails_the_examination(pair: Pair, fork: PlayedNode) -> None:
    eventually(lambda: fork.height > 2, "the fork's header")
    config = vouching(pair.with_shard_nodes(pair.shard, fork), pair.shard, 2)

    found = examined(pair, config, exit_code=Exit.REFUSED)
    assert found[fork.address.rpc]["code"] == "relayer/64"
    assert fork.blocks[2].hash.hex() in found[fork.address.rpc]["found"]
    assert is_agreed(found[pair.shard.address.rpc])
    assert is_agreed(found[HUB_END])


def test_a_trusted_header_that_no_node_keeps_is_said_and_fails_nothing(pair: Pair) -> None:
    config = vouching(pair.config, pair.shard, 2)
    pair.shard.earliest = 3
    found = examined(pair, config)
    assert set(found) == {pair.shard.address.rpc, "shard-1"}
    assert not any(map(is_agreed, found.values()))
    assert "no node serves it at height 2" in found["shard-1"]["found"]
    said = run(pair, "health")
    assert said.exit_code == 0
    assert "note" in said.stdout


def test_a_trusted_header_from_which_no_new_client_could_start_is_said_and_fails_nothing(pair: Pair) -> None:
    config = vouching(pair.config, pair.shard, 1)
    config = replace(config, client=replace(config.client, trusting_period_s=60))
    found = examined_later(config, 61)
    assert found["shard-1"].is_good
    assert found["shard-1"].is_note
    assert "a new client, which trusts for 60 s, would be refused" in found["shard-1"].found
    assert not found[HUB_END].is_note, "the client that exists trusts for longer"


# --- clients ---------------------------------------------------------------------------------------------------------


def test_a_client_of_the_chain_agrees_with_a_header_at_below_and_above_its_own(pair: Pair) -> None:
    start = known_height(pair)
    asyncio.run(teach_header(pair, pair.shard, start + 3))
    for height in (1, start, start + 1, start + 3, start + 6):
        config = vouching(pair.config, pair.shard, height)
        assert is_agreed(examined(pair, config)[HUB_END]), height
        assert link(config) == ()


def test_a_client_of_the_hub_is_compared_as_well(pair: Pair) -> None:
    trusted = TrustedHeader(Height(1), pair.hub.blocks[1].hash)
    config = replace(pair.config, hub=replace(pair.config.hub, trusted=trusted))
    assert is_agreed(examined(pair, config)[f"shard-1/{SHARD_CLIENT}"])


def refuses(pair: Pair, config: RelayerConfig, height: int) -> None:
    """Check that the client is found to be astray, by its knowledge of a height."""
    found = examined(pair, config, exit_code=Exit.REFUSED)[HUB_END]
    assert found["code"] == "relayer/65"
    assert f"of height {height}" in found["found"]
    with pytest.raises(ClientAstray, match=f"{HUB_END} to know of height {height}"):
        link(config)


def test_a_client_that_knows_another_header_at_the_trusted_height_is_astray(
    pair: Pair, fork: PlayedNode
) -> None:
    asyncio.run(teach_forged_header(pair, fork))
    forged = known_height(pair)
    refuses(pair, vouching(pair.config, pair.shard, forged), forged)


def test_a_client_that_left_the_chain_above_the_trusted_header_is_astray(
    pair: Pair, fork: PlayedNode
) -> None:
    start = known_height(pair)
    asyncio.run(teach_forged_header(pair, fork))
    refuses(pair, vouching(pair.config, pair.shard, start), known_height(pair))


def test_a_client_that_left_the_chain_below_the_trusted_header_is_astray(
    pair: Pair, fork: PlayedNode
) -> None:
    asyncio.run(teach_forged_header(pair, fork))
    forged = known_height(pair)
    refuses(pair, vouching(pair.config, pair.shard, forged + 3), forged)


def test_a_client_that_came_back_from_another_header_at_the_trusted_height_is_astray(
    pair: Pair, fork: PlayedNode
) -> None:
    asyncio.run(teach_forged_header(pair, fork))
    forged = known_height(pair)
    asyncio.run(teach_header(pair, pair.shard, pair.shard.height + 1))
    assert not require_client(pair.hub.store.latest(), HUB_CLIENT).is_frozen
    refuses(pair, vouching(pair.config, pair.shard, forged), forged)


async def compare(pair: Pair, nodes: tuple[PlayedNode, ...], height: int) -> Comparison:
    """Compare the hub's client of the shard with the shard's header at a height, as some nodes serve blocks."""
    header = pair.shard.blocks[height].header
    state = TrustedState(height, time_from_wire(header.time), header.app_hash, header.next_validators_hash)
    shard = connect(ChainId("shard-1"), "shard", [node.address for node in nodes], 5.0)
    try:
        async with connected(pair.config) as (hub, _):
            follower = Follower(LinkEnd(ChainId("hub-1"), ClientId(HUB_CLIENT)), hub)
            named = Vouched(shard, pair.shard.blocks[height].hash, state)
            return await compare_client(follower, named, time.time_ns())
    finally:
        await shard.close()


@pytest.mark.parametrize("is_fork_first", [False, True])
def test_a_client_is_astray_whichever_of_two_nodes_is_asked_first(
    pair: Pair, fork: PlayedNode, is_fork_first: bool
) -> None:
    start = known_height(pair)
    asyncio.run(teach_forged_header(pair, fork))
    nodes = (fork, pair.shard) if is_fork_first else (pair.shard, fork)
    # The fork leaves the chain above the trusted header, so what both nodes serve follows from that one.
    with pytest.raises(ClientAstray):
        asyncio.run(compare(pair, nodes, start))


def test_a_node_that_serves_a_fork_below_the_trusted_header_is_not_believed(
    pair: Pair, fork: PlayedNode
) -> None:
    asyncio.run(teach_forged_header(pair, fork))
    forged = known_height(pair)
    height = forged + 2
    eventually(lambda: min(pair.shard.height, fork.height) > height, "blocks above the client's height")
    fork.blocks[height] = pair.shard.blocks[height]
    compared = asyncio.run(compare(pair, (fork,), height))
    assert not compared.is_known
    assert f"height {forged} was not compared" in compared.found


def test_a_node_that_contradicts_the_trusted_header_is_found_when_the_link_exists(
    pair: Pair, fork: PlayedNode
) -> None:
    eventually(lambda: fork.height > 2, "the fork's header")
    with pytest.raises(TrustedHeaderMismatch, match=fork.address.rpc):
        link(vouching(pair.with_shard_nodes(pair.shard, fork), pair.shard, 2))


# --- what cannot be compared -----------------------------------------------------------------------------------------


def says(pair: Pair, config: RelayerConfig, *texts: str) -> None:
    """Check that it is said what of the client could not be compared, and why, and that nothing fails."""
    found = examined(pair, config)[HUB_END]
    (note,) = link(config)
    assert found["is_note"]
    assert all(text in found["found"] and text in note for text in texts), (found, note)
    said = run(pair, "link")
    assert said.exit_code == 0
    assert f"note: {HUB_END}: " in said.stdout


def test_a_client_is_not_compared_with_a_header_that_it_does_not_trust_any_more(pair: Pair) -> None:
    asyncio.run(teach_header(pair, pair.shard, known_height(pair) + 3))
    found = examined_later(vouching(pair.config, pair.shard, 1), pair.config.client.trusting_period_s)
    assert found[HUB_END].is_good
    assert found[HUB_END].is_note
    assert "the trusted header is older than 86400 s" in found[HUB_END].found


def test_a_client_is_not_compared_over_blocks_that_nodes_do_not_keep(pair: Pair) -> None:
    start = known_height(pair)
    config = vouching(pair.config, pair.shard, start + 3)
    pair.shard.earliest = start + 1
    says(pair, config, f"height {start} was not compared", pair.shard.address.rpc)


def test_a_client_is_not_compared_over_very_many_blocks(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouched, "MAX_BLOCKS_DOWN", 2)
    start = known_height(pair)
    assert link(vouching(pair.config, pair.shard, start + 2)) == ()
    says(pair, vouching(pair.config, pair.shard, start + 3), "at most 2 blocks", "got 3")


def test_a_link_with_a_trusted_header_that_no_node_keeps_is_left_alone_and_says_so(pair: Pair) -> None:
    config = vouching(pair.config, pair.shard, 2)
    pair.shard.earliest = 3
    (note,) = link(config)
    assert "not compared with the trusted header" in note
