"""A running localnet, used with nothing but the command line, each command in a process of its own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch

from aggregation.model import encode_model, model_root, to_fixed
from tests.support.e2e import require_kinds
from tests.support.e2e_by_hand import HANDS, PARTICIPANTS, PlayedRound, play_round
from tests.support.e2e_network import small_network
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.e2e_network import SmallNetwork

pytestmark = pytest.mark.localnet

RELAY_FEE = 100
"""That of the network `small`."""


@pytest.fixture(scope="module")
def played(network: SmallNetwork, tmp_path_factory: pytest.TempPathFactory) -> PlayedRound:
    """The first round of a task, done by hand."""
    return play_round(network, tmp_path_factory.mktemp("hand"))


def test_tokens_come_from_the_faucet_and_move_by_transfer(network: SmallNetwork) -> None:
    console = network.console
    console.text("key", "new", "giver")
    console.text("key", "new", "taker")
    console.text("faucet", "--to", "giver", "--amount", "100")
    moved = console.view("transfer", "--to", "taker", "--amount", "30", "--key", "giver")
    assert moved["recipient"] == console.view("key", "show", "taker")["address"]
    balances = [console.view("account", "show", name)["balance"] for name in ("giver", "taker")]
    assert balances == [70, 30]
    assert "[hub/" in console.fail(1, "transfer", "--to", "taker", "--amount", "71", "--key", "giver")


def test_a_round_by_hand_is_aggregated_from_all_updates(played: PlayedRound) -> None:
    view = played.console.view("round", "show", *played.number, "--round", "1")
    assert (view["status"], view["attempt"], view["updates"]) == ("settled", 0, len(PARTICIPANTS))
    assert view["verified"] is True
    relay_paid = int(str(view["relay_paid"]))
    assert int(str(view["paid"])) + relay_paid == 100_000
    # Two headers, and two bodies of as many parts as the model is large.
    assert relay_paid >= 4 * RELAY_FEE
    assert relay_paid % RELAY_FEE == 0
    shards = view["shards"]
    assert isinstance(shards, list)
    assert {shard["status"] for shard in shards} == {"complete"}
    assert "aggregated" in played.watched or "settled" in played.watched


def test_each_update_is_in_a_block_of_the_shard_it_was_made_for(played: PlayedRound) -> None:
    for name, made, sent in zip(PARTICIPANTS, played.made, played.sent, strict=True):
        assert sent["shard"] == made["shard"]
        found = played.console.view("update", "show", *played.number, "--round", "1", "--key", name)
        assert (found["accepted"], found["height"]) == (True, sent["height"])
    assert {str(made["shard"]) for made in played.made} == {"shard-0", "shard-1"}


def test_an_update_that_is_sent_again_does_no_harm(played: PlayedRound) -> None:
    again = played.console.view("update", "submit", str(played.update_file("hand-0")))
    first = played.sent[0]
    assert (again["height"], again["statement_digest"]) == (first["height"], first["statement_digest"])


def test_the_fetched_model_has_the_root_that_is_verified(played: PlayedRound, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    fetched = played.console.view("model", "get", *played.number, "--out", str(path))
    verified = played.console.view("model", "verify", *played.number)
    state = torch.load(path, weights_only=True)
    vector = torch.cat([tensor.reshape(-1) for tensor in state.values()]).numpy()
    # below one in size, float32 holds every value of the chain's fixed point exactly
    assert abs(vector).max() < 1
    root = model_root(encode_model(to_fixed(vector))).hex()
    assert fetched["root"] == verified["root"] == root
    base = torch.load(played.base, weights_only=True)
    assert list(base) == list(state)
    assert not torch.equal(base["0.weight"], state["0.weight"])


def test_every_command_that_looks_has_a_form_for_people_and_one_for_programs(
    network: SmallNetwork, played: PlayedRound
) -> None:
    console = network.console
    home = str(network.hub.nodes[0].home.path)
    update = str(played.update_file("hand-1"))
    commands = {
        ("key", "list"): "hand-0",
        ("key", "show", "hand-0"): "grad1",
        ("account", "show", "hand-0"): "balance",
        ("task", "list"): "digits",
        ("task", "show", str(played.task)): "digits",
        ("participant", "assignment", *played.number, "--key", "hand-2"): "shard-",
        ("update", "show", update): "payload",
        ("update", "show", *played.number, "--round", "1", "--key", "hand-3"): "accepted",
        ("round", "show", *played.number, "--round", "1"): "settled",
        ("model", "verify", *played.number): "signed power",
        ("relayer", "status"): "07-tendermint-0",
        ("relayer", "clients"): "07-tendermint-0",
        ("relayer", "health"): "good",
        ("relayer", "config", "validate", "--live"): "good",
        ("relayer", "keys", "list"): "authority",
        ("relayer", "pending"): "open",
        ("relayer", "clear"): "cleared",
        ("relayer", "dry-run"): "nothing was sent",
        ("relayer", "pay"): "grad1",
        ("localnet", "status"): "hub.0",
        ("localnet", "ports"): "shard-1.0",
        ("node", "status", "--home", home): "0.39.4",
        ("node", "status", "--grpc", network.shards[0].grpc_addresses[0]): "shard-0",
        ("node", "doctor", "--home", home): "mempool.max_tx_bytes",
    }
    with ThreadPoolExecutor(HANDS) as hands:
        texts = list(hands.map(lambda command: console.text(*command), commands))
        values = list(hands.map(lambda command: console.json(*command), commands))
    for command, text, value in zip(commands, texts, values, strict=True):
        assert commands[command] in text, f"{command}: {text}"
        assert isinstance(value, dict | list), command
        assert value, command
        assert not text.lstrip().startswith("{"), command


def test_commands_that_print_many_lines_print_an_object_a_line(
    network: SmallNetwork, played: PlayedRound
) -> None:
    watched = network.console.run("round", "watch", *played.number, "--until", "1", "--json")
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [event["round"] for event in events] == [1]
    logs = network.console.run("localnet", "logs", "--node", "hub.0", "--process", "app", "--json")
    sources = {json.loads(line)["source"] for line in logs.stdout.splitlines()}
    assert sources == {"hub.0 app"}
    assert "hub.0 app | " in network.console.text("localnet", "logs", "--node", "hub.0", "--process", "app")


def test_a_relayer_that_runs_has_nothing_left_to_do(network: SmallNetwork, played: PlayedRound) -> None:
    view = network.console.view("relayer", "status")
    links = view["links"]
    assert isinstance(links, list)
    assert [(link["shard"], link["ready"]) for link in links] == [("shard-0", True), ("shard-1", True)]
    ends = [end for link in links for end in link["ends"]]
    assert {end["client_status"] for end in ends} == {"active"}
    assert all(end["refused"] == 0 for end in ends)


def test_a_localnet_that_is_taken_down_leaves_no_process_behind(tmp_path: Path) -> None:
    with small_network(tmp_path) as own:
        before = own.console.trail.list_processes()
        require_kinds(before, "cometbft start", "localnet.daemon", "relayer start")
        assert own.console.text("localnet", "up", "--network", str(tmp_path / "small.toml"))
        assert own.console.trail.list_processes() == before
        journal = own.localnet.directory / "relayer" / "relayer.db"
        eventually(lambda: journal.exists() or None, "the relayer's journal")
    assert own.console.trail.list_processes() == {}
    assert "stopped" in own.console.text("localnet", "status")
    assert own.console.text("localnet", "down") == "was not running\n"
    assert own.console.text("localnet", "reset") == "reset\n"
    assert not journal.exists(), "it would tell of chains that are no more"
