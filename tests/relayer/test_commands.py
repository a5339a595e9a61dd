"""Commands on a played pair of chains: configuration, keys, packets, clients, pay."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from abci_app.keyfile import load_key
from cli.errors import Exit
from cli.main import root
from relayer.config import load_config
from relayer.driver import Driver
from relayer.journal import Journal
from relayer.keyring import load_keys
from relayer.service import connected, link_chains
from tests.support.ports import free_ports
from tests.support.relayer import SHARD_CLIENT, ended, received, running_pair, until
from tests.support.relayer_app import RELAYER
from tests.support.relayer_cli import relayer_in_thread, run, run_json, write_config
from tests.support.waiting import eventually
from tx.keys import format_address
from wire.gradchain.tx.v1 import tx_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from tests.support.relayer import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path) as running:
        write_config(running.config)
        yield running


def send(pair: Pair, from_hub: int, from_shard: int = 0) -> None:
    """Have packets sent, and wait until they are."""
    pair.send_from_hub(from_hub)
    for _ in range(from_shard):
        pair.send_from_shard()
    eventually(lambda: pair.hub.has_sent() and pair.shard.has_sent(), "the packets to be sent")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["relayer", *arguments], env={"GRADCHAIN_DEBUG": None})


# --- config and keys -------------------------------------------------------------------------------------------------


def test_config_init_asks_the_nodes_which_chains_they_belong_to(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "new" / "relayer.toml"
    hub, shard = pair.hub.address, pair.shard.address
    made = invoke("config", "init", "--hub", hub.grpc, "--shard", shard.grpc, "--out", str(out), "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["chains"] == ["hub-1", "shard-1"]
    config = load_config(out)
    assert (config.hub.nodes, config.shards[0].nodes) == ((hub,), (shard,))
    assert config.hub.key_files == (out.parent / "keys" / "relayer.json",)
    assert "# Pause after a first failure" in out.read_text()


def test_from_config_init_to_a_link_that_is_healthy(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        out = tmp_path / "new" / "relayer.toml"
        authority = str(pair.config.hub.authority_key_file)
        made = invoke(
            "config", "init", "--hub", pair.hub.address.grpc, "--shard", pair.shard.address.grpc,
            "--authority-key-file", authority, "--out", str(out),
        )  # fmt: skip
        assert made.exit_code == 0, made.output
        config = ("--config", str(out))
        added = json.loads(invoke("keys", "add", "relayer", *config, "--json").stdout)
        assert added["made"]
        assert added["chains"] == []
        key = RELAYER.public_key
        pair.hub.toy.balances[bytes.fromhex(added["public_key"])] = pair.hub.toy.balances.pop(key)
        assert invoke("link", *config).exit_code == 0
        assert "complete already" in invoke("link", *config).stdout
        assert invoke("health", *config).exit_code == 0
        assert invoke("config", "validate", "--live", *config).exit_code == 0


def test_config_init_takes_over_a_localnet(pair: Pair, tmp_path: Path) -> None:
    written = tmp_path / "net" / "relayer" / "relayer.toml"
    written.parent.mkdir(parents=True)
    written.write_text((pair.directory / "relayer.toml").read_text())
    out = tmp_path / "mine.toml"
    made = invoke("config", "init", "--localnet", str(tmp_path / "net"), "--out", str(out))
    assert made.exit_code == 0, made.output
    config = load_config(out)
    assert [chain.nodes for chain in config.chains] == [chain.nodes for chain in pair.config.chains]
    assert config.journal == tmp_path / "relayer.db"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ((), Exit.USAGE),
        (("--localnet", "a", "--hub", "b"), Exit.USAGE),
        (("--localnet", "nowhere"), Exit.ENVIRONMENT),
        (("--hub", "127.0.0.1:9"), Exit.ENVIRONMENT),
        (("--hub", "DEAD", "--shard", "DEAD"), Exit.UNREACHABLE),
        (("--hub", "SHARD", "--shard", "HUB"), Exit.ENVIRONMENT),
        (("--hub", "HUB", "--shard", "SHARD", "--out", "TAKEN"), Exit.ENVIRONMENT),
    ],
)
def test_config_init_fails_in_one_line(pair: Pair, arguments: tuple[str, ...], exit_code: Exit) -> None:
    names = {
        "HUB": pair.hub.address.grpc,
        "SHARD": pair.shard.address.grpc,
        "DEAD": f"127.0.0.1:{free_ports(1)[0]}",
        "TAKEN": str(pair.directory / "relayer.toml"),
    }
    found = [names.get(argument, argument) for argument in arguments]
    if "--out" not in found:
        found += ["--out", str(pair.directory / "new.toml")]
    result = invoke("config", "init", *found)
    assert result.exit_code == exit_code, result.output
    assert result.stderr.startswith("error: ")
    assert not (pair.directory / "new.toml").exists()


def test_keys_are_files_that_only_their_owner_reads_and_sign_for_the_chains_that_are_named(
    pair: Pair,
) -> None:
    added = run_json(pair, "keys", "add", "second", "--chain", "hub-1")
    assert added["chains"] == ["hub-1"]
    path = pair.directory / "keys" / "second.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = load_config(pair.directory / "relayer.toml")
    assert config.hub.key_files == (*pair.config.hub.key_files, path)
    assert config.shards == pair.config.shards
    shown = run_json(pair, "keys", "show", "second")
    assert (shown["address"], shown["chains"]) == (added["address"], ["hub-1"])
    again = run_json(pair, "keys", "add", "second")
    assert (again["made"], again["chains"]) == (False, ["shard-1"])
    seed = json.loads(path.read_text())["seed"]
    assert all(seed not in run(pair, "keys", *words).output for words in (("list",), ("show", "second")))


def test_keys_list_names_what_cannot_be_used(pair: Pair) -> None:
    os.chmod(pair.config.hub.key_files[0], 0o644)  # noqa: PTH101 - what a person does
    keys = run_json(pair, "keys", "list")["keys"]
    assert [(key["chain"], key["role"]) for key in keys] == [
        ("hub-1", "relayer"),
        ("hub-1", "authority"),
        ("shard-1", "relayer"),
        ("shard-1", "authority"),
    ]
    assert "node/12" in keys[0]["problem"]
    assert not keys[1]["problem"]
    assert "authority" in run(pair, "keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("add", "../x"), Exit.USAGE),
        (("add", "x", "--chain", "shard-9"), Exit.USAGE),
        (("show", "x"), Exit.ENVIRONMENT),
    ],
)
def test_keys_fail_in_one_line(pair: Pair, arguments: tuple[str, ...], exit_code: Exit) -> None:
    result = run(pair, "keys", *arguments)
    assert result.exit_code == exit_code
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["error", "cure"]


def test_a_key_that_lies_elsewhere_is_found_by_its_name(pair: Pair) -> None:
    (own,) = pair.config.hub.key_files
    elsewhere = pair.directory / "elsewhere" / "mine.json"
    elsewhere.parent.mkdir()
    own.rename(elsewhere)
    hub = replace(pair.config.hub, key_files=(elsewhere,))
    write_config(replace(pair.config, hub=hub))
    assert run_json(pair, "keys", "show", "mine")["file"] == str(elsewhere)


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


def test_several_keys_sign_in_turn(pair: Pair) -> None:
    run_json(pair, "keys", "add", "second")
    config = load_config(pair.directory / "relayer.toml")
    asyncio.run(_relay_some(pair, config.journal))
    keys = [load_key(path) for path in load_config(pair.directory / "relayer.toml").shards[0].key_files]
    assert len(keys) == 2
    assert {_signer(tx) for tx in pair.shard.taken[-3:]} == {format_address(key.public_key) for key in keys}


async def _relay_some(pair: Pair, journal: Path) -> None:
    config = load_config(pair.directory / "relayer.toml")
    async with connected(config) as (hub, shards):
        with Journal(journal) as opened:
            driver = Driver(config, opened, hub, shards, load_keys(config.chains))
            task = asyncio.create_task(driver.run())
            for count in range(1, 4):
                pair.send_from_hub()
                await until(partial(_have_ended, pair, count), "an acknowledgement", task)
            task.cancel()
            await asyncio.wait([task])


def _have_ended(pair: Pair, count: int) -> bool:
    return len(ended(pair.hub)) == count


def _signer(tx: bytes) -> str:
    """Return who signed a relayed transaction, as its last message says."""
    body = tx_pb2.TxBody.FromString(tx_pb2.Envelope.FromString(tx).tx.body)
    return channel_tx_pb2.MsgRecvPacket.FromString(body.messages[-1].value).signer


# --- packets ---------------------------------------------------------------------------------------------------------


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
    assert "4 open" in run(pair, "pending").stdout


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


def test_clear_sees_all_open_packets_through_and_ends(pair: Pair) -> None:
    send(pair, from_hub=3, from_shard=2)
    report = run_json(pair, "clear")
    assert (report["found"], report["cleared"]) == (5, 5)
    assert {packet["outcome"] for packet in report["packets"]} == {"acknowledged"}
    assert ended(pair.hub) == ["acknowledged"] * 3
    assert ended(pair.shard) == ["acknowledged"] * 2
    assert run_json(pair, "clear") == {"found": 0, "cleared": 0, "packets": []}
    assert not pair.config.journal.exists()


def test_clear_takes_the_sequences_that_are_named(pair: Pair) -> None:
    send(pair, from_hub=5, from_shard=2)
    report = run_json(pair, "clear", "--shard", "shard-1", "--sequences", "2,4-9", "--sender", "hub-1")
    assert [packet["sequence"] for packet in report["packets"]] == [2, 4, 5]
    assert (received(pair.shard), received(pair.hub)) == (3, 0)
    left = sorted((packet["chain"], packet["sequence"]) for packet in run_json(pair, "pending")["packets"])
    assert left == [("hub-1", 1), ("hub-1", 3), ("shard-1", 1), ("shard-1", 2)]


@pytest.mark.parametrize("sequences", ["0", "3-2", "x", "", "1,", "-3"])
def test_clear_refuses_what_are_no_sequences(pair: Pair, sequences: str) -> None:
    result = run(pair, "clear", "--shard", "shard-1", f"--sequences={sequences}")
    assert result.exit_code == Exit.USAGE


def test_clear_of_sequences_needs_one_link(pair: Pair) -> None:
    assert run(pair, "clear", "--sequences", "1").exit_code == Exit.USAGE


def test_clear_leaves_packets_that_are_sent_later_to_others(pair: Pair) -> None:
    send(pair, from_hub=2)
    pair.shard.refuse_broadcast = True
    results: list[Result] = []
    worker = threading.Thread(target=lambda: results.append(run(pair, "clear", "--json")))
    worker.start()
    # The list of open packets was made when the first transaction is refused.
    eventually(lambda: pair.shard.refused > 0, "an attempt")
    send(pair, from_hub=1)
    pair.shard.refuse_broadcast = False
    worker.join(60)
    assert json.loads(results[0].stdout)["cleared"] == 2
    assert received(pair.shard) == 2
    (left,) = run_json(pair, "pending")["packets"]
    assert left["sequence"] == 3


def test_clear_that_is_not_done_in_time_says_what_is_left(pair: Pair) -> None:
    send(pair, from_hub=1)
    pair.shard.refuse_broadcast = True
    result = run(pair, "clear", "--timeout", "1", "--json")
    assert result.exit_code == Exit.REFUSED
    report = json.loads(result.stdout)
    assert (report["found"], report["cleared"]) == (1, 0)
    assert "[relayer/50]" in result.stderr


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
    assert plan == {"txs": [], "bodies": [], "waiting": []}


# --- clients and pay -------------------------------------------------------------------------------------------------


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
