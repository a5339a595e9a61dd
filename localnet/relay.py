"""The relayer of a localnet: its configuration, from what the localnet knows of its chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayer.config import MIN_BALANCE, ChainConfig, NodeAddress, RelayerConfig
from relayer.config_text import format_config
from relayer.types import ChainId

if TYPE_CHECKING:
    from pathlib import Path

    from localnet.network import Localnet
    from localnet.nodes import ChainHandle

DIRECTORY: Final = "relayer"
"""Below a localnet's directory: where the relayer that belongs to it keeps its configuration and its journal."""

JOURNAL: Final = "relayer.db"


def ensure_relayer_config(localnet: Localnet) -> Path | None:
    """Write the configuration of a localnet's relayer unless there is one, and return its path.

    None where there is nothing to relay: a localnet without hub or without shards.
    """
    kinds = {chain.kind for chain in localnet.chains.values()}
    if not {"hub", "shard"} <= kinds:
        return None
    path = localnet.directory / DIRECTORY / "relayer.toml"
    return path if path.exists() else write_relayer_config(localnet, path.parent)


def forget_relayed(directory: Path) -> None:
    """Remove the journal of a localnet's relayer: after a reset it would tell of chains that are no more."""
    for path in (directory / DIRECTORY).glob(f"{JOURNAL}*"):
        path.unlink()


def write_relayer_config(localnet: Localnet, directory: Path) -> Path:
    """Write `relayer.toml` for a localnet's hub and shards into a directory, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    hub = next(chain for chain in localnet.chains.values() if chain.kind == "hub")
    shards = [chain for chain in localnet.chains.values() if chain.kind == "shard"]
    config = RelayerConfig(
        hub=_describe_chain(localnet, hub, MIN_BALANCE),
        shards=tuple(_describe_chain(localnet, shard, 0) for shard in shards),
        journal=directory / JOURNAL,
        log_format="json",
    )
    path = directory / "relayer.toml"
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
