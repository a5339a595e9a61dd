from __future__ import annotations

import json
import os
import stat
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from abci_app.comet_home import validator_address
from abci_app.keyfile import load_key
from abci_app.nodehome import load_config
from abci_app.process import identify, write_pid_file
from abci_app.supervisor import PROCESS_KINDS
from localnet import network
from localnet.errors import LocalnetMissing, ManifestChanged, NotRunning, UnknownNode
from localnet.homes import list_accounts, list_node_names
from localnet.keys import derive_account, derive_key, derive_node_keys
from localnet.manifest import Manifest, load_manifest, parse_manifest
from localnet.network import Localnet
from tests.support.localnet import build_manifest
from tests.support.ports import taken_port
from tx.keys import format_address

if TYPE_CHECKING:
    from pathlib import Path


def build_federation(seed: str = "seed") -> Manifest:
    return parse_manifest(
        {
            "name": "fed",
            "seed": seed,
            "validators": 2,
            "accounts": {"faucet": 500, "alice": 7, "bob": 0},
            "chains": [
                {"name": "hub", "kind": "hub", "params": {"a": 1}},
                {"name": "shard-0", "kind": "shard", "chain_id": "shard-zero", "params": {"b": [True]}},
            ],
        },
        "test",
    )


def read_genesis(localnet: Localnet, chain: str, index: int = 0) -> dict[str, object]:
    genesis: dict[str, object] = json.loads(localnet.chains[chain].nodes[index].home.genesis_file.read_text())
    return genesis


def test_keys_follow_from_the_seed_and_differ_from_each_other() -> None:
    manifest = load_manifest("default")
    keys = [derive_account(manifest, name).public_key for name in list_accounts(manifest)]
    for chain in manifest.chains:
        for index in range(chain.validators):
            pair = derive_node_keys(manifest, chain, index)
            keys += [pair.validator.public_key, pair.node.public_key]
    assert len(set(keys)) == len(keys)
    assert derive_account(load_manifest("default"), "faucet").public_key == keys[1]
    assert derive_account(build_federation("other"), "faucet").public_key != keys[1]


def test_a_path_of_keys_is_not_its_parts_joined() -> None:
    assert derive_key("s", "a", "bc").public_key != derive_key("s", "ab", "c").public_key
    assert derive_key("s", "a").public_key != derive_key("sa").public_key


def test_accounts_have_key_files_that_their_owner_alone_can_read(tmp_path: Path) -> None:
    manifest = build_federation()
    localnet = Localnet.create(manifest, tmp_path)
    assert list_accounts(manifest) == ["authority", "faucet", "treasury", "relayer", "alice", "bob"]
    for name in list_accounts(manifest):
        path = localnet.key_path(name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (
            load_key(path).public_key
            == derive_account(manifest, name).public_key
            == localnet.key(name).public_key
        )
        assert localnet.address(name) == format_address(localnet.key(name).public_key)


def test_the_genesis_of_the_hub_names_authority_treasury_and_balances(tmp_path: Path) -> None:
    localnet = Localnet.create(build_federation(), tmp_path)
    assert read_genesis(localnet, "hub")["app_state"] == {
        "authority": localnet.address("authority"),
        "treasury": localnet.address("treasury"),
        "balances": {localnet.address("faucet"): "500", localnet.address("alice"): "7"},
        "params": {"a": 1},
    }


def test_the_genesis_of_a_shard_names_its_hub(tmp_path: Path) -> None:
    localnet = Localnet.create(build_federation(), tmp_path)
    genesis = read_genesis(localnet, "shard-0")
    assert genesis["chain_id"] == "shard-zero"
    assert genesis["app_state"] == {
        "authority": localnet.address("authority"),
        "hub_chain_id": "hub",
        "hub_client_id": "07-tendermint-0",
        "params": {"b": [True]},
    }


def test_all_nodes_of_a_chain_have_one_genesis_and_know_each_other(tmp_path: Path) -> None:
    manifest = build_federation()
    localnet = Localnet.create(manifest, tmp_path)
    assert (
        [node.name for node in localnet.nodes]
        == list_node_names(manifest)
        == ["hub.0", "hub.1", "shard-0.0", "shard-0.1"]
    )
    for spec in manifest.chains:
        first, second = localnet.chains[spec.name].nodes
        assert first.home.genesis_file.read_text() == second.home.genesis_file.read_text()
        other = validator_address(derive_node_keys(manifest, spec, 1).node.public_key).hex()
        assert first.config.peers == (f"{other}@{second.config.p2p}",)
        assert len(second.config.peers) == 1


def test_full_nodes_come_after_the_validators_and_have_no_vote(tmp_path: Path) -> None:
    tables = [{"name": "kv", "kind": "kvstore", "validators": 2, "full_nodes": 1}]
    manifest = parse_manifest({"name": "net", "seed": "s", "chains": tables}, "test")
    localnet = Localnet.create(manifest, tmp_path)
    nodes = localnet.chains["kv"].nodes
    assert [(node.name, node.votes) for node in nodes] == [("kv.0", True), ("kv.1", True), ("kv.2", False)]
    assert len({node.home.genesis_file.read_text() for node in nodes}) == 1
    validators = read_genesis(localnet, "kv")["validators"]
    assert isinstance(validators, list)
    assert [validator["name"] for validator in validators] == ["kv.0", "kv.1"]
    assert all(len(node.config.peers) == 2 for node in nodes)


def test_only_apps_with_services_get_addresses_for_them(tmp_path: Path) -> None:
    federation = Localnet.create(build_federation(), tmp_path / "a")
    assert len(federation.chains["hub"].grpc_addresses) == 2
    assert all(node.metrics_address for node in federation.nodes)
    kvstore = Localnet.create(build_manifest(), tmp_path / "b")
    assert kvstore.chains["kv-0"].grpc_addresses == ()
    assert len(kvstore.chains["kv-0"].rpc_urls) == 1


def test_every_listener_is_on_the_loopback_interface(tmp_path: Path) -> None:
    localnet = Localnet.create(build_federation(), tmp_path)
    listeners = [endpoint for node in localnet.nodes for endpoint in node.config.listeners.values()]
    assert {endpoint.host for endpoint in listeners} == {"127.0.0.1"}
    assert len({endpoint.port for endpoint in listeners}) == 16


def test_a_port_that_is_taken_is_left_out(tmp_path: Path) -> None:
    base = Localnet.create(build_manifest(), tmp_path / "probe").nodes[0].config.p2p.port
    with taken_port(base):
        localnet = Localnet.create(build_manifest(base_port=base), tmp_path / "net")
        assert localnet.nodes[0].config.p2p.port > base


def test_the_same_manifest_opens_the_same_localnet(tmp_path: Path) -> None:
    first = Localnet.create(build_federation(), tmp_path)
    again = Localnet.create(build_federation(), tmp_path)
    assert [node.config for node in again.nodes] == [node.config for node in first.nodes]
    assert [node.config for node in Localnet.open(tmp_path).nodes] == [node.config for node in first.nodes]


def test_another_manifest_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    Localnet.create(build_federation(), tmp_path)
    with pytest.raises(ManifestChanged, match="other content"):
        Localnet.create(build_federation("other"), tmp_path)


def test_a_directory_without_a_localnet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalnetMissing):
        Localnet.open(tmp_path / "nothing")


def test_names_that_do_not_exist_are_refused_with_those_that_do(tmp_path: Path) -> None:
    localnet = Localnet.create(build_federation(), tmp_path)
    with pytest.raises(UnknownNode, match=r"hub\.0, hub\.1"):
        localnet.node("hub.7")
    with pytest.raises(UnknownNode, match="authority, faucet"):
        localnet.key("mallory")


def test_what_does_not_run_can_be_stopped_but_not_killed(tmp_path: Path) -> None:
    localnet = Localnet.create(build_manifest(), tmp_path)
    assert not localnet.is_running
    localnet.stop()
    assert localnet.processes() == []
    for act in (localnet.kill, localnet.start_node, localnet.stop_node):
        with pytest.raises(NotRunning):
            act("kv-0.0")


@pytest.mark.parametrize(
    ("reached", "is_killed"), [((True, True), True), ((True, False), True), ((False, False), False)]
)
def test_a_node_is_killed_also_when_one_process_ends_with_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: tuple[bool, bool], is_killed: bool
) -> None:
    localnet = Localnet.create(build_manifest(), tmp_path)
    itself = identify(os.getpid())
    assert itself is not None
    for kind in PROCESS_KINDS:
        write_pid_file(localnet.nodes[0].home.pid_file(kind), itself)
    answers = iter(reached)
    monkeypatch.setattr(network, "send_signal", lambda *_: next(answers))
    with nullcontext() if is_killed else pytest.raises(NotRunning):
        localnet.kill("kv-0.0")
    assert next(answers, None) is None


def test_a_reset_wipes_both_halves_and_keeps_keys_and_ports(tmp_path: Path) -> None:
    localnet = Localnet.create(build_manifest(), tmp_path)
    node = localnet.nodes[0]
    keys = (node.home.path / "config" / "priv_validator_key.json").read_bytes()
    (node.home.path / "data" / "blockstore.db").mkdir()
    (node.home.app_directory / "kvstore.db").touch()
    (node.home.path / "data" / "priv_validator_state.json").write_text(
        '{"height": "9", "round": 0, "step": 3}'
    )
    localnet.reset()
    assert [path.name for path in (node.home.path / "data").iterdir()] == ["priv_validator_state.json"]
    assert '"0"' in (node.home.path / "data" / "priv_validator_state.json").read_text()
    assert list(node.home.app_directory.iterdir()) == []
    assert (node.home.path / "config" / "priv_validator_key.json").read_bytes() == keys
    assert load_config(node.home) == node.config


def test_a_removed_localnet_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 25)
    localnet = Localnet.create(build_manifest(), directory)
    sockets = localnet.nodes[0].config.socket_path.parent
    assert not sockets.is_relative_to(directory)
    localnet.remove()
    assert not directory.exists()
    assert not sockets.exists()
