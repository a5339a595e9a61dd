"""The commands that show open packets and what would be done, on a played pair of chains."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cli.errors import Exit
from tests.support.relayer import ended, received
from tests.support.relayer_cli import relayer_in_thread, run, run_json, send, write_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.relayer import Pair


def test_pending_shows_every_open_packet_with_its_age(pair: Pair) -> None:
    send(pair, from_hub=3, from_shard=1)
    time.sleep(1.1)
    report = run_json(pair, "pending")
    assert report["total"] == 4
    found = sorted((packet["chain"], packet["sequence"]) for packet in report["packets"])
    assert found == [("hub-1", 1), ("hub-1", 2), ("hub-1", 3), ("shard-1", 1)]
    assert all(1 <= packet["age_s"] < 60 and packet["stage"] == "unseen" for packet in report["packets"])
    assert all(3500 < packet["timeout_in_s"] <= 3600 for packet in report["packets"])
    limited = run_json(pair, "pending", "--shard", "shard-1", "--limit", "2")
    assert (limited["total"], len(limited["packets"])) == (4, 2)
    said = run(pair, "pending").stdout
    assert "failed attempts" in said
    assert "4 open" in said


def test_pending_names_the_stage_and_the_reason_of_our_relayer(pair: Pair) -> None:
    with relayer_in_thread(pair.config):
        pair.shard.refuse_broadcast = True
        send(pair, from_hub=1)

        def is_delayed() -> bool:
            (packet,) = run_json(pair, "pending")["packets"]
            return str(packet["stage"]) == "submitted"

        eventually(is_delayed, "a packet on its way")
        pair.shard.refuse_broadcast = False


def test_pending_fails_for_a_shard_that_is_not_there_and_for_chains_that_do_not_answer(pair: Pair) -> None:
    assert run(pair, "pending", "--shard", "shard-9").exit_code == Exit.USAGE
    dead = replace(pair.config.shards[0].nodes[0], rpc="http://127.0.0.1:9", grpc="127.0.0.1:9")
    write_config(replace(pair.config, shards=(replace(pair.config.shards[0], nodes=(dead,)),)))
    report = run_json(pair, "pending", exit_code=Exit.UNREACHABLE)
    assert report["unknown"][0]["shard"] == "shard-1"


def test_dry_run_shows_what_would_be_relayed_and_sends_nothing(pair: Pair) -> None:
    send(pair, from_hub=3, from_shard=1)
    # A block more, whose header proves them.
    sent = pair.hub.height, pair.shard.height
    eventually(lambda: pair.hub.height > sent[0] and pair.shard.height > sent[1], "the next blocks")
    before = len(pair.hub.taken), len(pair.shard.taken)
    plan = run_json(pair, "dry-run")
    found = {tx["chain"]: [(p["sequence"], p["duty"]) for p in tx["packets"]] for tx in plan["txs"]}
    assert found == {"shard-1": [(1, "receive"), (2, "receive"), (3, "receive")], "hub-1": [(1, "receive")]}
    assert all(tx["headers"] == 1 and tx["size_bytes"] > 1000 for tx in plan["txs"])
    assert (len(pair.hub.taken), len(pair.shard.taken)) == before
    assert (received(pair.shard), received(pair.hub)) == (0, 0)
    assert "nothing was sent" in run(pair, "dry-run").stdout
    assert not pair.config.journal.exists()


def test_dry_run_goes_on_where_the_journal_stands(pair: Pair) -> None:
    with relayer_in_thread(pair.config):
        send(pair, from_hub=2)
        eventually(lambda: ended(pair.hub) == ["acknowledged"] * 2, "acknowledgements")
    plan = run_json(pair, "dry-run")
    assert plan == {"txs": [], "bodies": [], "waiting": [], "unknown": []}
