"""Which network and which key a command works with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.keyfile import load_key, save_key
from cli.context import DEFAULT_LOCALNET, NetworkOptions, Session, read_chain_id
from cli.errors import NetworkUnknown
from localnet.manifest import load_manifest
from localnet.network import Localnet
from participant.errors import TrustMissing
from tests.support.cli import Cli, fails
from tests.support.txs import build_key
from tx.keys import format_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Network


@pytest.fixture
def localnet(cli: Cli) -> Iterator[Localnet]:
    """A localnet that is made but does not run, in the folder in which commands look for one."""
    manifest = replace(load_manifest("small"), base_port=0)
    made = Localnet.create(manifest, DEFAULT_LOCALNET)
    yield made
    made.remove()


def hubs_of(localnet: Localnet) -> list[str]:
    return [
        address
        for chain in localnet.chains.values()
        if chain.kind == "hub"
        for address in chain.grpc_addresses
    ]


def test_without_a_network_the_error_names_the_option(cli: Cli) -> None:
    fails(cli.run("task", "list"), 2, "--hub HOST:PORT (or GRADCHAIN_HUB)")


def test_without_a_key_the_error_names_the_option(cli: Cli) -> None:
    fails(cli.run("account", "show", "--hub", "127.0.0.1:1"), 2, "--key NAME")


def test_without_a_genesis_a_command_that_verifies_names_the_option(cli: Cli, network: Network) -> None:
    fails(cli.run("model", "verify", "--task", "1", *network.hub_option), 2, "--genesis FILE")


def test_without_its_address_a_shard_cannot_be_asked() -> None:
    with pytest.raises(NetworkUnknown, match="--shard shard-9=HOST:PORT"):
        Session(NetworkOptions(hub=("127.0.0.1:1",))).shard("shard-9")


def test_nothing_that_listens_is_exit_code_3(cli: Cli) -> None:
    fails(cli.run("task", "list", "--hub", "127.0.0.1:1", "--timeout", "5"), 3, "127.0.0.1:1")


def test_nodes_that_are_away_for_one_reason_are_told_of_once(cli: Cli) -> None:
    result = cli.run("task", "list", "--hub", "127.0.0.1:1", "--hub", "127.0.0.1:2", "--timeout", "5")
    fails(result, 3, "expected an answer from 127.0.0.1:1, 127.0.0.1:2, got: Connection refused [node/103]")


def test_nodes_that_are_away_for_different_reasons_are_told_apart(cli: Cli) -> None:
    result = cli.run("task", "list", "--hub", "127.0.0.1:1", "--hub", "nowhere.invalid:2", "--timeout", "5")
    fails(result, 3, "got: Connection refused (127.0.0.1:1); ")
    assert "(nowhere.invalid:2) [node/103]" in result.stderr


def test_a_genesis_file_is_looked_at_before_any_node_is_asked(cli: Cli, tmp_path: Path) -> None:
    result = cli.run(
        "model", "verify", "--task", "1", "--hub", "127.0.0.1:1", "--genesis", str(tmp_path / "none")
    )
    fails(result, 2, "expected a genesis file at")


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-1", "soon"])
def test_a_time_that_is_none_is_a_usage_error(cli: Cli, text: str) -> None:
    fails(cli.run("task", "list", "--hub", "127.0.0.1:1", "--timeout", text), 2, "'--timeout'")
    fails(cli.run("localnet", "up", "--timeout", text), 2, "'--timeout'")


def test_a_light_client_does_not_wait_for_a_hub_that_is_away(cli: Cli, network: Network) -> None:
    options = ("--hub", "127.0.0.1:1", "--genesis", str(network.genesis))
    fails(cli.run("model", "verify", "--task", "1", *options), 3, "127.0.0.1:1")


def test_the_second_node_is_asked_when_the_first_is_away(cli: Cli, network: Network) -> None:
    result = cli.run("task", "list", "--hub", "127.0.0.1:1", *network.hub_option, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"tasks": []})


def test_the_environment_gives_the_network(cli: Cli, network: Network) -> None:
    env = {"GRADCHAIN_HUB": f"127.0.0.1:1,{network.hub.host.address}"}
    assert cli.run("task", "list", env=env).stdout == "no tasks\n"


def test_an_option_beats_the_environment(cli: Cli, network: Network) -> None:
    env = {"GRADCHAIN_HUB": "127.0.0.1:1"}
    assert cli.run("task", "list", *network.hub_option, env=env).exit_code == 0


def test_shards_come_from_the_environment_too(cli: Cli) -> None:
    result = cli.run(
        "task", "list", env={"GRADCHAIN_SHARDS": "no-equals-sign", "GRADCHAIN_HUB": "127.0.0.1:1"}
    )
    fails(result, 2, "expected CHAIN=HOST:PORT")


@pytest.mark.parametrize(
    "options",
    [
        ("--hub", "127.0.0.1"),
        ("--hub", "127.0.0.1:0"),
        ("--hub", "127.0.0.1:99999"),
        ("--shard", "127.0.0.1:1"),
        ("--shard", "=127.0.0.1:1"),
        ("--shard", "chain=127.0.0.1"),
        ("--timeout", "0"),
        ("--timeout", "soon"),
    ],
)
def test_a_malformed_option_is_a_usage_error(cli: Cli, options: tuple[str, ...]) -> None:
    assert cli.run("task", "list", *options).exit_code == 2


def test_several_addresses_of_a_shard_are_kept_together() -> None:
    options = NetworkOptions(shards=(("a", "127.0.0.1:1"), ("b", "127.0.0.1:2"), ("a", "127.0.0.1:3")))
    assert Session(options).shard_addresses == {
        "a": ("127.0.0.1:1", "127.0.0.1:3"),
        "b": ("127.0.0.1:2",),
    }


def test_the_localnet_of_this_folder_is_used_without_options(localnet: Localnet) -> None:
    session = Session(NetworkOptions())
    shards = {chain.chain_id for chain in localnet.chains.values() if chain.kind == "shard"}
    assert list(session.hub().addresses) == hubs_of(localnet)
    assert set(session.shard_addresses) == shards
    assert session.hub_chain_id() == localnet.chains["hub"].chain_id
    session.close()


def test_a_localnet_is_found_by_its_directory(cli: Cli, localnet: Localnet, tmp_path: Path) -> None:
    result = cli.run("task", "list", "--localnet", str(localnet.directory), "--timeout", "5")
    fails(result, 3, hubs_of(localnet)[0])
    fails(cli.run("task", "list", "--localnet", str(tmp_path)), 5, "[localnet/3]")


def test_a_localnet_is_not_mixed_with_a_hub_that_was_named(localnet: Localnet) -> None:
    session = Session(NetworkOptions(hub=("127.0.0.1:1",)))
    assert session.localnet is None
    assert session.genesis_path is None
    assert session.shard_addresses == {}
    assert localnet.chains


def test_a_localnet_that_was_named_gives_what_no_option_gives(localnet: Localnet, tmp_path: Path) -> None:
    options = NetworkOptions(
        hub=("127.0.0.1:1",), shards=(("shard-0", "127.0.0.1:2"),), localnet=localnet.directory
    )
    session = Session(options)
    assert list(session.hub().addresses) == ["127.0.0.1:1"]
    assert session.genesis_path is None
    assert session.shard_addresses["shard-0"] == ("127.0.0.1:2",)
    assert format_address(session.faucet_key().public_key) == localnet.address("faucet")
    session.close()


def test_accounts_of_the_localnet_can_be_named(cli: Cli, localnet: Localnet) -> None:
    session = Session(NetworkOptions(), "alice")
    assert format_address(session.key().public_key) == localnet.address("alice")
    assert format_address(session.address("bob")) == localnet.address("bob")


def test_a_key_of_the_user_comes_before_an_account_of_the_localnet(
    cli: Cli, localnet: Localnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADCHAIN_HOME", str(cli.home))
    address = cli.new_key("alice")
    assert format_address(Session(NetworkOptions(), "alice").key().public_key) == address
    assert localnet.address("alice") != address


def test_a_name_that_nobody_has_is_looked_for_in_the_home(cli: Cli, localnet: Localnet) -> None:
    assert localnet.chains
    fails(cli.run("account", "show", "nobody"), 5, str(cli.home / "keys/nobody.json"))


def test_a_key_can_be_given_as_a_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    save_key(path, build_key(5))
    assert Session(NetworkOptions(), str(path)).key().public_key == load_key(path).public_key


def test_the_chain_id_of_the_genesis_beats_what_a_node_says(network: Network, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"chain_id": "other-1"}')
    session = Session(NetworkOptions(hub=(network.hub.host.address,), genesis=other))
    assert session.hub_chain_id() == "other-1"
    session.close()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"chain_id": 5}', '{"chain_id": ""}'])
def test_a_file_that_is_no_genesis_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(content)
    with pytest.raises(TrustMissing):
        read_chain_id(path)


def test_a_genesis_that_is_missing_is_refused(cli: Cli, network: Network, tmp_path: Path) -> None:
    options = (*network.hub_option, "--genesis", str(tmp_path / "none.json"))
    fails(cli.run("model", "verify", "--task", "1", *options), 2, "none.json")
