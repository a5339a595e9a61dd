"""`relayer health` and `config validate --live`: each thing that can be wrong fails with its reason and exit code."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.played.app import RELAYER, ToyChain
from bench.played.config import make_config
from bench.played.node import PlayedNode
from cli.errors import Exit
from relayer.cli_checks import examine_live
from relayer.config import ClientConfig, HealthConfig, NodeAddress
from relayer.service import link_chains
from tests.support.ports import free_ports
from tests.support.relayer import running_pair
from tests.support.relayer_cli import run, run_json, write_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.relayer import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path) as running:
        write_hub(running)
        yield running


def write_hub(pair: Pair, *nodes: NodeAddress, health: HealthConfig | None = None) -> None:
    """Write a configuration whose hub has more nodes, in front of its own."""
    hub = replace(pair.config.hub, min_balance=1, nodes=(*nodes, *pair.config.hub.nodes))
    write_config(replace(pair.config, hub=hub, health=health or HealthConfig()))


def fails(pair: Pair, exit_code: Exit, check: str, code: str, *texts: str) -> None:
    """Check that the health of a pair fails in one check, for people and for machines."""
    found = run_json(pair, "health", exit_code=exit_code)
    bad = [entry for entry in found["checks"] if not entry["is_good"]]
    assert not found["is_good"]
    assert [(entry["name"], entry["code"]) for entry in bad] == [(check, code)], bad
    assert bad[0]["cure"]
    assert all(text in bad[0]["found"] for text in texts), bad
    said = run(pair, "health")
    assert said.exit_code == exit_code
    assert "BAD" in said.stdout
    assert f"{code}: {bad[0]['cure']}" in said.stdout
    assert [line.partition(":")[0] for line in said.stderr.splitlines()] == ["error", "cure"], said.stderr
    assert f"[{code}]" in said.stderr


def dead_node() -> NodeAddress:
    rpc, grpc = free_ports(2)
    return NodeAddress(f"http://127.0.0.1:{rpc}", f"127.0.0.1:{grpc}")


def test_a_pair_that_is_well_is_healthy(pair: Pair) -> None:
    found = run_json(pair, "health")
    assert found["is_good"]
    names = {check["name"] for check in found["checks"]}
    assert names == {"relayer", "endpoint", "height", "clock", "key", "balance", "link", "client"}
    assert run(pair, "config", "validate", "--live").exit_code == 0


def test_a_dead_endpoint_fails_though_another_node_answers(pair: Pair) -> None:
    dead = dead_node()
    write_hub(pair, dead)
    fails(pair, Exit.UNREACHABLE, "endpoint", "relayer/21", dead.rpc)


def test_a_chain_without_any_node_that_answers_fails(pair: Pair) -> None:
    dead = replace(pair.config.shards[0], nodes=(dead_node(),))
    write_config(replace(pair.config, shards=(dead,)))
    fails(pair, Exit.UNREACHABLE, "endpoint", "relayer/21")


def test_a_wrong_chain_id_fails(pair: Pair) -> None:
    write_hub(pair, pair.shard.address)
    fails(pair, Exit.ENVIRONMENT, "chain id", "relayer/20", "hub-1", "shard-1")


def test_an_expired_client_fails(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        short = ClientConfig(trusting_period_s=4, unbonding_period_s=9)
        asyncio.run(link_chains(replace(pair.config, client=short)))
        write_hub(pair)
        pair.wait_for_time(time.time_ns() + 4 * 10**9)
        found = run_json(pair, "health", exit_code=Exit.REFUSED)
        bad = [check for check in found["checks"] if not check["is_good"]]
        assert [check["code"] for check in bad] == ["relayer/43"] * 2
        assert all("expired" in check["found"] for check in bad)
        assert "2" in run(pair, "health").stderr.splitlines()[0]


def test_a_client_that_nobody_refreshes_fails_before_it_expires(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        asyncio.run(
            link_chains(
                replace(pair.config, client=ClientConfig(trusting_period_s=60, unbonding_period_s=90))
            )
        )
        write_hub(pair)
        # A clock that runs ahead is as good as waiting, for the client; the nodes' clocks must agree with it.
        now_ns = time.time_ns() + 35 * 10**9
        examination, problem = asyncio.run(
            examine_live(replace(pair.config, health=HealthConfig(max_clock_skew_s=60)), now_ns)
        )
        assert problem is not None
        bad = [check for check in examination.checks if not check.is_good]
        assert [check.code for check in bad] == ["relayer/43"] * 2
        assert all("refreshed" in check.found for check in bad)


def test_an_empty_wallet_fails(pair: Pair) -> None:
    pair.hub.toy.balances[RELAYER.public_key] = 0
    fails(pair, Exit.REFUSED, "balance", "relayer/32", "at least 1", "grad1")


def test_a_wallet_need_not_hold_what_is_not_asked_for(pair: Pair) -> None:
    pair.hub.toy.balances[RELAYER.public_key] = 0
    write_config(replace(pair.config, hub=replace(pair.config.hub, min_balance=0)))
    assert run_json(pair, "health")["is_good"]


@pytest.mark.parametrize(("ahead_s", "word"), [(60.0, "ahead"), (-60.0, "behind")])
def test_clock_skew_fails(pair: Pair, ahead_s: float, word: str) -> None:
    pair.shard.clock_ahead_s = ahead_s
    fails(pair, Exit.ENVIRONMENT, "clock", "relayer/31", word)


def test_a_lagging_node_fails(pair: Pair, tmp_path: Path) -> None:
    other = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "other").start()
    try:
        eventually(lambda: other.height >= 1, "a block")
        other.is_paused = True
        eventually(lambda: pair.hub.height >= other.height + 5, "some blocks more")
        # It is asked last for the rest: it knows neither link nor clients.
        hub = replace(pair.config.hub, min_balance=1, nodes=(*pair.config.hub.nodes, other.address))
        write_config(replace(pair.config, hub=hub, health=HealthConfig(max_lag_blocks=3)))
        fails(pair, Exit.UNREACHABLE, "height", "relayer/30", other.address.rpc, "below")
    finally:
        other.stop()


def test_a_node_that_is_catching_up_fails(pair: Pair) -> None:
    pair.shard.catching_up = True
    fails(pair, Exit.UNREACHABLE, "height", "relayer/30", "caught up")


def test_a_chain_that_stands_still_fails(pair: Pair) -> None:
    write_hub(pair, health=HealthConfig(max_block_age_s=1))
    pair.shard.is_paused = True
    newest = pair.shard.blocks[pair.shard.height].header.time.seconds
    eventually(lambda: time.time() > newest + 3, "an old block")
    fails(pair, Exit.UNREACHABLE, "block age", "relayer/30", "shard-1")


def test_a_missing_key_fails_without_asking_any_chain(pair: Pair) -> None:
    write_config(
        replace(pair.config, hub=replace(pair.config.hub, key_files=(pair.directory / "none.json",)))
    )
    for command in (("config", "validate"), ("config", "validate", "--live"), ("health",)):
        found = run_json(pair, *command, exit_code=Exit.ENVIRONMENT)
        assert [c["code"] for c in found["checks"] if not c["is_good"]] == ["node/11"]


def test_a_missing_link_fails(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        write_hub(pair)
        fails(pair, Exit.REFUSED, "link", "relayer/60")


def test_every_problem_is_listed(pair: Pair) -> None:
    pair.hub.toy.balances[RELAYER.public_key] = 0
    pair.shard.clock_ahead_s = 60
    write_hub(pair, dead_node())
    found = run_json(pair, "config", "validate", "--live", exit_code=Exit.UNREACHABLE)
    bad = [check["name"] for check in found["checks"] if not check["is_good"]]
    assert sorted(bad) == ["balance", "clock", "endpoint"]
    assert "got 3" in run(pair, "health").stderr


def test_a_configuration_that_cannot_be_read_fails_in_one_line(pair: Pair) -> None:
    path = write_config(make_config(pair.hub, pair.shard, pair.directory))
    path.write_text(path.read_text().replace("[batches]", "[batches]\ncolour = 1"))
    result = run(pair, "config", "validate")
    assert result.exit_code == Exit.ENVIRONMENT
    assert "colour" in result.stderr
    assert "line" in result.stderr
