"""The configuration that a localnet writes for its relayer."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from localnet.manifest import load_manifest, parse_manifest
from localnet.network import Localnet
from localnet.ports import STRIDE, USED
from localnet.relay import choose_http, ensure_relayer_config, find_http
from relayer.config import load_config
from tests.support.localnet import build_manifest

if TYPE_CHECKING:
    from pathlib import Path


def test_it_names_all_nodes_and_the_keys_of_the_localnet(tmp_path: Path) -> None:
    localnet = Localnet.create(load_manifest("default"), tmp_path / "net")
    path = ensure_relayer_config(localnet)
    assert path is not None
    config = load_config(path)
    assert [chain.chain_id for chain in (config.hub, *config.shards)] == ["hub", "shard-0", "shard-1"]
    assert [node.rpc for node in config.hub.nodes] == list(localnet.chains["hub"].rpc_urls)
    assert [node.grpc for node in config.shards[1].nodes] == list(localnet.chains["shard-1"].grpc_addresses)
    assert config.hub.key_files == (localnet.key_path("relayer"),)
    assert config.journal.parent == path.parent


def test_it_serves_http_on_a_port_that_no_node_has(tmp_path: Path) -> None:
    localnet = Localnet.create(replace(load_manifest("default"), base_port=0), tmp_path / "net")
    assert find_http(localnet) is None
    path = ensure_relayer_config(localnet)
    assert path is not None
    http = load_config(path).http
    assert http is not None
    first = localnet.nodes[0].config.p2p.port
    assert http.host == "127.0.0.1"
    assert first + USED <= http.port < first + STRIDE
    assert find_http(localnet) == http


def test_a_port_in_use_is_left_to_its_user(tmp_path: Path) -> None:
    localnet = Localnet.create(replace(load_manifest("small"), base_port=0), tmp_path / "net")
    http = choose_http(localnet)
    assert http is not None
    with socket.create_server((http.host, http.port)):
        other = choose_http(localnet)
    assert other is not None
    assert other.port > http.port


def test_full_nodes_are_asked_first(tmp_path: Path) -> None:
    tables = [{"name": "hub", "kind": "hub", "full_nodes": 1}, {"name": "shard-0", "kind": "shard"}]
    manifest = parse_manifest({"name": "net", "seed": "s", "chains": tables}, "test")
    localnet = Localnet.create(manifest, tmp_path / "net")
    path = ensure_relayer_config(localnet)
    assert path is not None
    validator, full = localnet.chains["hub"].nodes
    assert [node.rpc for node in load_config(path).hub.nodes] == [full.rpc_url, validator.rpc_url]


def test_what_a_user_has_changed_is_left_alone(tmp_path: Path) -> None:
    localnet = Localnet.create(load_manifest("small"), tmp_path / "net")
    path = ensure_relayer_config(localnet)
    assert path is not None
    path.write_text("mine")
    assert ensure_relayer_config(localnet) == path
    assert path.read_text() == "mine"
    assert find_http(localnet) is None


def test_a_localnet_without_a_hub_has_none(tmp_path: Path) -> None:
    localnet = Localnet.create(build_manifest(chains=2), tmp_path / "net")
    assert ensure_relayer_config(localnet) is None
    assert not (localnet.directory / "relayer").exists()


def test_a_reset_forgets_what_was_relayed_but_keeps_the_configuration(tmp_path: Path) -> None:
    localnet = Localnet.create(load_manifest("small"), tmp_path / "net")
    path = ensure_relayer_config(localnet)
    assert path is not None
    journals = [path.parent / f"relayer.db{suffix}" for suffix in ("", "-wal", "-shm")]
    for journal in journals:
        journal.touch()
    localnet.reset()
    assert path.exists()
    assert not any(journal.exists() for journal in journals)
