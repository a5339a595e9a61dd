"""Commands do their work for all shards but the one whose nodes do not answer, and then fail because of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cli.errors import Exit
from relayer.types import ChainId
from tests.support.relayer import received
from tests.support.relayer_cli import run, run_json, send, write_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.relayer import Pair

DEAD = "shard-2"


@pytest.fixture(autouse=True)
def _dead_shard(pair: Pair) -> None:
    """Name a shard in the configuration that does not run."""
    living = pair.config.shards[0]
    node = replace(living.nodes[0], rpc="http://127.0.0.1:9", grpc="127.0.0.1:9")
    write_config(
        replace(pair.config, shards=(replace(living, chain_id=ChainId(DEAD), nodes=(node,)), living))
    )


def test_clear_sees_the_packets_of_the_others_through(pair: Pair) -> None:
    send(pair, from_hub=2)
    report = run_json(pair, "clear", exit_code=Exit.REFUSED)
    assert (report["found"], report["cleared"], received(pair.shard)) == (2, 2, 2)
    assert [link["shard"] for link in report["unknown"]] == [DEAD]


def test_dry_run_plans_for_the_others(pair: Pair) -> None:
    send(pair, from_hub=2)
    sent = pair.hub.height
    eventually(lambda: pair.hub.height > sent, "the block that proves them")
    plan = run_json(pair, "dry-run", exit_code=Exit.REFUSED)
    assert [len(tx["packets"]) for tx in plan["txs"]] == [2]
    assert [link["shard"] for link in plan["unknown"]] == [DEAD]


def test_link_shows_what_it_did_for_the_others(pair: Pair) -> None:
    report = run_json(pair, "link", exit_code=Exit.UNREACHABLE)
    assert [link["shard"] for link in report["links"]] == ["shard-1"]
    assert [link["shard"] for link in report["failed"]] == [DEAD]
    result = run(pair, "link")
    assert "shard-1: " in result.stdout
    assert f"{DEAD}: not linked" in result.stdout.splitlines()
    assert f"error: {DEAD}: expected an answer" in result.stderr
    assert "[relayer/21]" in result.stderr


def test_what_is_not_known_of_a_client_is_no_number(pair: Pair) -> None:
    rows = run_json(pair, "clients", exit_code=Exit.REFUSED)["clients"]
    unknown = [row for row in rows if row["shard"] == DEAD]
    assert [row["status"] for row in unknown] == ["unknown"]
    numbers = ("height", "expires_in_s", "trusting_period_s", "refresh_in_s")
    assert [unknown[0][name] for name in numbers] == [None] * 4
    assert run_json(pair, "status")["chains"][1]["height"] is None


@pytest.mark.parametrize("command", ["status", "clients"])
def test_a_long_error_stands_below_the_table(pair: Pair, command: str) -> None:
    lines = run(pair, command).stdout.splitlines()
    told = [line for line in lines if "expected" in line]
    assert told
    assert all(line.startswith(f"{DEAD}: expected") for line in told)
    rows = [line.split() for line in lines if line.startswith(DEAD) and line not in told]
    assert rows
    assert all("-" in row for row in rows)
    assert all(len(line) <= 100 for line in lines if line not in told)
