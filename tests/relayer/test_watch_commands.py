"""The commands that show clients and pay, and what is said of a chain that nobody knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bench.played.app import RELAYER
from cli.errors import Exit
from relayer.service import link_chains
from tests.support.relayer import SHARD_CLIENT, ended, running_pair
from tests.support.relayer_cli import relayer_in_thread, run, run_json, send, write_config
from tests.support.waiting import eventually
from tx.keys import format_address

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.relayer import Pair


@pytest.mark.parametrize(
    "words",
    [
        ("recover", "shard-9"),
        ("clear", "--sender", "shard-9"),
        ("packet", "--chain", "shard-9", "--sequence", "1"),
    ],
)
def test_a_chain_that_the_configuration_does_not_name_is_a_usage_error(
    pair: Pair, words: tuple[str, ...]
) -> None:
    result = run(pair, *words)
    assert result.exit_code == Exit.USAGE
    assert "shard-1, got shard-9 [relayer/18]" in result.stderr


def test_clients_shows_the_seconds_to_expiry_and_to_the_next_refresh(pair: Pair) -> None:
    rows = run_json(pair, "clients")["clients"]
    assert [(row["chain"], row["follows"], row["status"]) for row in rows] == [
        ("hub-1", "shard-1", "active"),
        ("shard-1", "hub-1", "active"),
    ]
    assert all(86_000 < row["expires_in_s"] <= 86_400 for row in rows)
    assert all(28_000 < row["refresh_in_s"] <= 28_800 for row in rows)
    assert SHARD_CLIENT in run(pair, "clients").stdout


def test_clients_fails_where_there_is_no_link(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        write_config(pair.config)
        rows = run_json(pair, "clients", exit_code=Exit.REFUSED)["clients"]
        assert "relayer/60" in rows[0]["error"]
        asyncio.run(link_chains(pair.config))
        assert len(run_json(pair, "clients")["clients"]) == 2


def test_pay_shows_balances_and_transactions_by_fate(pair: Pair) -> None:
    assert run_json(pair, "pay")["chains"][0]["included"] == 0
    with relayer_in_thread(pair.config):
        send(pair, from_hub=1)
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        eventually(lambda: run_json(pair, "pay")["chains"][0]["pending"] == 0, "the last outcome")
    found = run_json(pair, "pay")
    assert found["accounts"][0]["address"] == format_address(RELAYER.public_key)
    account = found["accounts"][0]
    assert (account["balance"], account["packets"], account["earned"]) == (1_000, 2, 7)
    assert (found["spent"], found["earned"], found["refunded"]) == (0, 7, 0)
    assert [(chain["chain_id"], chain["included"]) for chain in found["chains"]] == [
        ("hub-1", 1),
        ("shard-1", 1),
    ]
    assert run(pair, "pay").stdout.startswith(
        "spent 0, earned 7, refunded 0\nno chain charges for a transaction"
    )
    assert found["note"].startswith("no chain charges for a transaction")
