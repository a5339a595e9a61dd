"""The commands that tell why a packet waits, on a played pair of chains."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cli.errors import Exit
from relayer.config import FilterConfig
from relayer.service import link_chains
from tests.support.relayer import received, running_pair
from tests.support.relayer_cli import run, run_json, send, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.relayer import Pair

EXPIRED = "expected an active client shard-1/07-tendermint-0, got one that is expired [relayer/43]"
LEFT_OUT = "left out by [filter] of the configuration"


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run a pair whose clients have expired, with a packet of the hub that is still open."""
    directory: Path = tmp_path_factory.mktemp("expired")
    with running_pair(directory, linked=False) as pair:
        asyncio.run(
            link_chains(replace(pair.config, client=replace(pair.config.client, trusting_period_s=6)))
        )
        write_config(pair.config)
        send(pair, from_hub=1)
        pair.wait_for_time(time.time_ns() + 6 * 10**9)
        yield pair


def test_pending_names_the_client_that_takes_no_packets(expired: Pair) -> None:
    (packet,) = run_json(expired, "pending")["packets"]
    assert (packet["stage"], packet["reason"]) == ("unseen", EXPIRED)


def test_clear_names_the_client_that_takes_no_packets(expired: Pair) -> None:
    (packet,) = run_json(expired, "clear", "--timeout", "2", exit_code=Exit.REFUSED)["packets"]
    assert packet["reason"] == EXPIRED


def test_dry_run_names_the_client_that_takes_no_packets(expired: Pair) -> None:
    (packet,) = run_json(expired, "dry-run")["waiting"]
    assert packet["reason"] == EXPIRED


def test_pending_names_the_filter_that_leaves_a_packet_out(pair: Pair) -> None:
    send(pair, from_hub=1, from_shard=1)
    write_config(replace(pair.config, filter=FilterConfig(ports=("fl.shard",))))
    reasons = {packet["chain"]: packet["reason"] for packet in run_json(pair, "pending")["packets"]}
    assert reasons == {"hub-1": LEFT_OUT, "shard-1": ""}


def test_clear_waits_for_no_packet_that_the_filter_leaves_out(pair: Pair) -> None:
    send(pair, from_hub=1, from_shard=1)
    write_config(replace(pair.config, filter=FilterConfig(ports=("fl.shard",))))
    report = run_json(pair, "clear", "--timeout", "20")
    assert [(packet["chain"], packet["outcome"]) for packet in report["packets"]] == [
        ("shard-1", "acknowledged")
    ]
    assert (received(pair.hub), received(pair.shard)) == (1, 0)


def test_the_cure_of_what_is_not_cleared_asks_for_the_reasons(pair: Pair) -> None:
    send(pair, from_hub=1)
    pair.shard.refuse_broadcast = True
    result = run(pair, "clear", "--timeout", "1")
    assert "reason" in result.stderr.partition("cure:")[2]
