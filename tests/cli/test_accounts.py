from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localnet.manifest import load_manifest
from localnet.network import Localnet
from tests.support.cli import Cli, fails
from tests.support.hub import CREATOR, RELAYER, SUPPLY, make_spec, participant_key
from tests.support.served import ServedHub
from tests.support.shard_rounds import SHARD_CHAIN
from tests.support.txs import build_key
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Network

BOB = format_address(build_key(77).public_key)
OWNED = SUPPLY - 1_000


def test_a_balance_is_shown_as_the_word_of_the_node(online: Cli, creator: str) -> None:
    assert online.json("account", "show", creator) == {
        "address": format_address(CREATOR.public_key),
        "balance": OWNED,
        "earned": 0,
        "verified": False,
    }
    lines = [line.split() for line in online.text("account", "show", creator).splitlines()]
    assert ["balance", str(OWNED)] in lines
    assert ["verified", "no"] in lines


def test_the_account_is_that_of_the_key_if_none_is_named(online: Cli, creator: str) -> None:
    assert online.json("account", "show", "--key", creator)["balance"] == OWNED


def test_an_account_that_nobody_used_is_empty(online: Cli) -> None:
    assert online.json("account", "show", BOB)["balance"] == 0


@pytest.fixture
def paying(cli: Cli, tmp_path: Path) -> Iterator[tuple[Cli, ServedHub]]:
    """A hub that has paid its relayer for two rounds of a task and one of another, and the command line on it."""
    hub = ServedHub(tmp_path / "paying").open(relay_fee=7)
    hub.add_shards(SHARD_CHAIN)
    for rounds in (2, 1):
        task = hub.create_task(make_spec(budget=10_000))
        hub.register(task, 0, 1)
        for _ in range(rounds):
            hub.run_round(task)
    yield Cli(cli.home, ("--hub", hub.host.address, "--timeout", "20")), hub
    hub.host.close()


def test_what_was_paid_for_packets_is_shown_by_round_with_totals(paying: tuple[Cli, ServedHub]) -> None:
    cli, _ = paying
    relayer = format_address(RELAYER.public_key)
    view = cli.json("account", "relayed", relayer)
    assert view == {
        "address": relayer,
        "packets": 6,
        "amount": 42,
        "rounds": [
            {"task": task, "round": number, "packets": 2, "amount": 14}
            for task, number in ((1, 1), (1, 2), (2, 1))
        ],
        "verified": False,
    }
    assert "42" in cli.text("account", "relayed", relayer)
    assert cli.json("account", "show", relayer)["earned"] == 42
    nobody = cli.json("account", "relayed", BOB)
    assert (nobody["packets"], nobody["amount"], nobody["rounds"]) == (0, 0, [])


def test_pay_for_packets_is_read_page_by_page_and_for_one_task(
    paying: tuple[Cli, ServedHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli, hub = paying
    monkeypatch.setattr("cli.accounts.PAGE", 1)
    relayer = format_address(RELAYER.public_key)

    def listed(*options: str) -> list[tuple[int, int]]:
        rows = cli.json("account", "relayed", relayer, *options)["rounds"]
        assert isinstance(rows, list)
        return [(row["task"], row["round"]) for row in rows]

    assert listed() == [(1, 1), (1, 2), (2, 1)]
    assert listed("--task", "1") == [(1, 1), (1, 2)]
    assert listed("--task", "2") == [(2, 1)]
    assert listed("--task", "3") == []
    same = query_pb2.GetRelayPayResponse(rounds=[query_pb2.RelayPay(task=1, round=1)])
    hub.lies["GetRelayPay"] = lambda _: same
    assert listed() == [(1, 1), (1, 1)]  # a node that repeats itself does not keep us for ever


def test_a_transfer_moves_tokens(online: Cli, creator: str) -> None:
    view = online.json("transfer", "--to", BOB, "--amount", "250", "--key", creator)
    assert isinstance(view.pop("height"), int)
    assert view == {"sender": format_address(CREATOR.public_key), "recipient": BOB, "amount": 250}
    assert online.json("account", "show", BOB)["balance"] == 250
    assert online.json("account", "show", creator)["balance"] == OWNED - 250


def test_a_transfer_says_what_it_did(online: Cli, creator: str) -> None:
    text = online.text("transfer", "--to", BOB, "--amount", "1", "--key", creator)
    assert BOB in text
    assert "height" in text


def test_a_recipient_can_be_a_key_by_name(online: Cli, creator: str) -> None:
    address = online.new_key("carol")
    assert online.json("transfer", "--to", "carol", "--amount", "5", "--key", creator)["recipient"] == address


def test_equal_transfers_are_not_taken_for_replays(online: Cli, creator: str) -> None:
    for _ in range(2):
        online.json("transfer", "--to", BOB, "--amount", "5", "--key", creator)
    assert online.json("account", "show", BOB)["balance"] == 10


def test_the_key_of_the_environment_signs(online: Cli, creator: str) -> None:
    result = online.run(
        "transfer", "--to", BOB, "--amount", "5", *online.network, env={"GRADCHAIN_KEY": creator}
    )
    assert result.exit_code == 0, result.output


def test_more_than_there_is_is_refused_by_the_hub(online: Cli, creator: str) -> None:
    result = online.on("transfer", "--to", BOB, "--amount", str(SUPPLY), "--key", creator)
    fails(result, 1, "[hub/2]")


def test_a_tx_for_another_chain_is_refused(cli: Cli, network: Network, creator: str, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"chain_id": "other-1"}')
    options = (*network.hub_option, "--genesis", str(other), "--key", creator)
    fails(cli.run("transfer", "--to", BOB, "--amount", "1", *options), 1, "[tx/8]")


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "many", str(2**63)])
def test_an_amount_that_is_none_is_a_usage_error(online: Cli, creator: str, amount: str) -> None:
    fails(online.on("transfer", "--to", BOB, "--amount", amount, "--key", creator), 2, "--amount")


@pytest.mark.parametrize("broken", [BOB[:-1] + "q", BOB[:-1], BOB.upper(), BOB + "q", "grad1"])
def test_a_mistyped_address_is_refused(online: Cli, creator: str, broken: str) -> None:
    if broken == "grad1":
        fails(online.on("transfer", "--to", broken, "--amount", "1", "--key", creator), 2, "expected a name")
    else:
        fails(online.on("transfer", "--to", broken, "--amount", "1", "--key", creator), 1, "[tx/4]")
    assert online.json("account", "show", creator)["balance"] == OWNED


def test_a_recipient_whose_key_is_missing_is_named(online: Cli, creator: str) -> None:
    fails(online.on("transfer", "--to", "nobody", "--amount", "1", "--key", creator), 5, "nobody.json")


def test_the_faucet_pays_from_the_account_of_the_localnet(
    online: Cli, network: Network, tmp_path: Path
) -> None:
    localnet = Localnet.create(replace(load_manifest("small"), base_port=0), tmp_path / "localnet")
    network.give(localnet.key("faucet").public_key, 1_000)
    options = ("--localnet", str(localnet.directory))
    view = online.json("faucet", "--to", BOB, "--amount", "300", *options)
    assert view["sender"] == localnet.address("faucet")
    assert online.json("account", "show", BOB)["balance"] == 300
    localnet.remove()


def test_the_faucet_can_be_any_key(online: Cli, creator: str) -> None:
    online.text("faucet", "--to", BOB, "--amount", "300", "--key", creator)
    assert online.json("account", "show", BOB)["balance"] == 300


def test_without_a_localnet_there_is_no_faucet(online: Cli) -> None:
    fails(online.on("faucet", "--to", BOB), 2, "--localnet")


def test_an_account_without_tokens_cannot_pay(online: Cli, alice: str) -> None:
    assert alice
    fails(online.on("transfer", "--to", BOB, "--amount", "1", "--key", alice), 1, "[hub/2]")
    assert format_address(participant_key(0).public_key) in online.text("account", "show", alice)
