"""Write the homes of all nodes of a localnet, and wipe them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from abci_app.comet_home import Genesis, GenesisValidator, JsonValue, format_genesis, write_signing_state
from abci_app.endpoint import Endpoint
from abci_app.keyfile import save_key
from abci_app.nodehome import NodeConfig, NodeHome, choose_socket, load_config, make_home
from abci_app.probe import is_port_free
from localnet.keys import derive_account, derive_node_keys
from localnet.manifest import ROLES
from localnet.ports import allocate_ports, choose_base_port
from tx.keys import format_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localnet.manifest import ChainSpec, Manifest
    from localnet.ports import NodePorts

HOST: Final = "127.0.0.1"
"""Localnets are for this machine alone."""

POWER: Final = 10
"""Voting power of every validator."""


FIRST_CLIENT_ID: Final = "07-tendermint-0"


def node_name(chain: ChainSpec, index: int) -> str:
    """Return the name of a chain's node."""
    return f"{chain.name}.{index}"


def list_node_names(manifest: Manifest) -> list[str]:
    """Return the names of all nodes, in the order of the manifest."""
    return [node_name(chain, index) for chain in manifest.chains for index in range(chain.nodes)]


def list_accounts(manifest: Manifest) -> list[str]:
    """Return the names of all accounts: the roles, then the others by name."""
    return [*ROLES, *sorted(name for name in manifest.accounts if name not in ROLES)]


def node_home(directory: Path, name: str) -> NodeHome:
    """Return the home of a node."""
    return NodeHome(directory / "nodes" / name)


def key_file(directory: Path, account: str) -> Path:
    """Return where the key of an account lies."""
    return directory / "keys" / f"{account}.json"


def write_account_keys(directory: Path, manifest: Manifest) -> None:
    """Write the key files of all accounts."""
    (directory / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in list_accounts(manifest):
        save_key(key_file(directory, name), derive_account(manifest, name))


def write_node_homes(directory: Path, manifest: Manifest, time_s: int) -> None:
    """Make the homes of all nodes, with ports that are free now.

    Raises:
      NoFreePorts: there are too few.

    """
    names = list_node_names(manifest)
    base_port = manifest.base_port or choose_base_port(str(directory))
    allocated = allocate_ports(len(names), base_port, lambda port: is_port_free(Endpoint(HOST, port)))
    ports = dict(zip(names, allocated, strict=True))
    for chain in manifest.chains:
        genesis = format_genesis(build_genesis(manifest, chain, time_s), manifest.settings)
        for index in range(chain.nodes):
            home = node_home(directory, node_name(chain, index))
            config = _build_config(home, manifest, chain, index, ports)
            make_home(home, config, genesis, derive_node_keys(manifest, chain, index))


def wipe_node(home: NodeHome, genesis: Genesis) -> None:
    """Take a stopped node back to before its first block: both halves together, keys and settings kept.

    The validator forgets what it signed, which is safe only because every node of the chain forgets it too.
    """
    for directory in (home.path / "data", home.app_directory, home.run_directory, home.path / "logs"):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
    write_signing_state(home.path)
    home.genesis_file.write_text(format_genesis(genesis, load_config(home).comet))


def build_genesis(manifest: Manifest, chain: ChainSpec, time_s: int) -> Genesis:
    """Return the genesis of a chain that starts at a time in Unix seconds."""
    validators = tuple(
        GenesisValidator(
            derive_node_keys(manifest, chain, index).validator.public_key, POWER, node_name(chain, index)
        )
        for index in range(chain.validators)
    )
    return Genesis(chain.chain_id, time_s, validators, _build_app_state(manifest, chain))


def _build_app_state(manifest: Manifest, chain: ChainSpec) -> Mapping[str, JsonValue]:
    addresses = {
        name: format_address(derive_account(manifest, name).public_key) for name in list_accounts(manifest)
    }
    if chain.kind == "hub":
        return {
            "authority": addresses["authority"],
            "treasury": addresses["treasury"],
            # Amounts are text: many JSON readers take large numbers for floats.
            "balances": {
                addresses[name]: str(amount) for name, amount in manifest.accounts.items() if amount
            },
            "params": chain.params,
        }
    if chain.kind == "shard" and manifest.hub is not None:
        return {
            "authority": addresses["authority"],
            "hub_chain_id": manifest.hub.chain_id,
            # The first client that `relayer link` creates on a chain.
            "hub_client_id": FIRST_CLIENT_ID,
            "params": chain.params,
        }
    return {}


def _build_config(
    home: NodeHome, manifest: Manifest, chain: ChainSpec, index: int, ports: Mapping[str, NodePorts]
) -> NodeConfig:
    own = ports[node_name(chain, index)]
    has_grpc = chain.kind != "kvstore"
    return NodeConfig(
        kind=chain.kind,
        name=node_name(chain, index),
        chain_id=chain.chain_id,
        abci=choose_socket(home),
        rpc=Endpoint(HOST, own.rpc),
        p2p=Endpoint(HOST, own.p2p),
        grpc=Endpoint(HOST, own.grpc) if has_grpc else None,
        metrics=Endpoint(HOST, own.metrics) if has_grpc else None,
        peers=tuple(
            f"{derive_node_keys(manifest, chain, peer).node_id}@{HOST}:{ports[node_name(chain, peer)].p2p}"
            for peer in range(chain.nodes)
            if peer != index
        ),
        comet=manifest.settings,
    )
