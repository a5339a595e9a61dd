"""The relayer of a localnet: its configuration, from what the localnet knows of its chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.endpoint import Endpoint
from abci_app.probe import is_port_free
from localnet.homes import HOST
from localnet.ports import list_spare_ports
from relayer.config import MIN_BALANCE, ChainConfig, NodeAddress, RelayerConfig, load_config
from relayer.config_text import format_config
from relayer.errors import ConfigInvalid, ConfigMissing
from relayer.types import ChainId

if TYPE_CHECKING:
    from pathlib import Path

    from localnet.network import Localnet
    from localnet.nodes import ChainHandle

DIRECTORY: Final = "relayer"
"""Below a localnet's directory: where the relayer that belongs to it keeps its configuration and its journal."""

CONFIG: Final = "relayer.toml"
JOURNAL: Final = "relayer.db"


def ensure_relayer_config(localnet: Localnet) -> Path | None:
    """Write the configuration of a localnet's relayer unless there is one, and return its path.

    None where there is nothing to relay: a localnet without hub or without shards.
    """
    kinds = {chain.kind for chain in localnet.chains.values()}
    if not {"hub", "shard"} <= kinds:
        return None
    path = config_path(localnet)
    return path if path.exists() else write_relayer_config(localnet, path.parent, choose_http(localnet))


def config_path(localnet: Localnet) -> Path:
    """Return where the configuration of a localnet's relayer is, or would be."""
    return localnet.directory / DIRECTORY / CONFIG


def choose_http(localnet: Localnet) -> Endpoint | None:
    """Return a free address for the relayer's HTTP among the ports of the first node that it does not use itself."""
    spare = list_spare_ports(localnet.nodes[0].config.p2p.port)
    return next((Endpoint(HOST, port) for port in spare if is_port_free(Endpoint(HOST, port))), None)


def find_http(localnet: Localnet) -> Endpoint | None:
    """Return where the relayer of a localnet serves HTTP while it runs, or None.

    A configuration that its user has broken names no address: the relayer's own commands say what is wrong with it.
    """
    try:
        return load_config(config_path(localnet)).http
    except (ConfigMissing, ConfigInvalid):
        return None


def forget_relayed(directory: Path) -> None:
    """Remove the journal of a localnet's relayer: after a reset it would tell of chains that are no more."""
    for path in (directory / DIRECTORY).glob(f"{JOURNAL}*"):
        path.unlink()


def write_relayer_config(localnet: Localnet, directory: Path, http: Endpoint | None = None) -> Path:
    """Write `relayer.toml` for a localnet's hub and shards into a directory, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    hub = next(chain for chain in localnet.chains.values() if chain.kind == "hub")
    shards = [chain for chain in localnet.chains.values() if chain.kind == "shard"]
    config = RelayerConfig(
        hub=_describe_chain(localnet, hub, MIN_BALANCE),
        shards=tuple(_describe_chain(localnet, shard, 0) for shard in shards),
        journal=directory / JOURNAL,
        log_format="json",
        http=http,
    )
    path = directory / CONFIG
    path.write_text(format_config(config), encoding="utf-8")
    return path


def _describe_chain(localnet: Localnet, chain: ChainHandle, min_balance: int) -> ChainConfig:
    # Full nodes are preferred: answering is what they are for.
    nodes = sorted(chain.nodes, key=lambda node: node.votes)
    return ChainConfig(
        chain_id=ChainId(chain.chain_id),
        nodes=tuple(NodeAddress(node.rpc_url, node.grpc_address) for node in nodes),
        key_files=(localnet.key_path("relayer"),),
        authority_key_file=localnet.key_path("authority"),
        min_balance=min_balance,
    )
