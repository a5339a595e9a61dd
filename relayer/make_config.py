"""A configuration for chains that are there already: of a localnet, or found by asking nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from abci_app.client import ChainConnection
from abci_app.endpoint import locate_rpc
from relayer.config import MIN_BALANCE, ChainConfig, NodeAddress, RelayerConfig, load_config
from relayer.errors import ChainMismatch, ConfigInvalid
from relayer.types import ChainId
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCALNET_CONFIG: Final = "relayer/relayer.toml"
"""Below a localnet's directory: what `gradchain localnet up` writes."""

JOURNAL: Final = "relayer.db"
"""Beside the configuration."""

ANSWER_S: Final = 10.0


def from_localnet(directory: Path) -> RelayerConfig:
    """Return the configuration for a localnet's chains, with a journal beside the new file.

    It serves no HTTP: the address belongs to the localnet's own relayer, which may run beside this one.

    Raises:
      ConfigMissing: there is no localnet with hub and shards.

    """
    found = load_config(directory.absolute() / LOCALNET_CONFIG)
    return replace(found, journal=Path(JOURNAL), http=None)


def from_nodes(
    hub: Sequence[str], shards: Sequence[str], key_file: Path, authority_key_file: Path | None
) -> RelayerConfig:
    """Return a configuration for the chains to which nodes belong, which are asked at their gRPC addresses.

    Raises:
      NodeUnavailable: a node does not answer.
      ChainMismatch: a node is of another kind than said, or the hub's nodes belong to several chains.
      ConfigInvalid: no hub or no shard is named.

    """
    if not hub or not shards:
        raise ConfigInvalid("expected a node of the hub and one of a shard, got less")
    chains: dict[str, list[NodeAddress]] = {}
    hub_ids: set[str] = set()
    for kind, addresses in (("hub", hub), ("shard", shards)):
        for address in addresses:
            chain_id, node = _ask_node(address, kind)
            chains.setdefault(chain_id, []).append(node)
            if kind == "hub":
                hub_ids.add(chain_id)
    if len(hub_ids) > 1:
        raise ChainMismatch(f"expected nodes of one hub, got those of {', '.join(sorted(hub_ids))}")
    described = {
        chain_id: ChainConfig(
            chain_id=ChainId(chain_id),
            nodes=tuple(nodes),
            key_files=(key_file,),
            authority_key_file=authority_key_file,
            min_balance=MIN_BALANCE if chain_id in hub_ids else 0,
        )
        for chain_id, nodes in chains.items()
    }
    own = described.pop(hub_ids.pop())
    return RelayerConfig(own, tuple(described.values()), Path(JOURNAL))


def _ask_node(address: str, kind: str) -> tuple[str, NodeAddress]:
    """Return the chain id of a node, and where its doors are."""
    connection = ChainConnection([address], ANSWER_S)

    try:
        answer = connection.node(lambda node: node.GetStatus(query_pb2.GetStatusRequest(), timeout=ANSWER_S))
    finally:
        connection.close()
    if answer.kind != kind:
        raise ChainMismatch(f"expected a {kind} at {address}, got a {answer.kind} {answer.chain_id}")
    return answer.chain_id, NodeAddress(locate_rpc(address, answer.rpc_address), address)
