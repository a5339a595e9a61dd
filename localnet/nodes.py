"""Handles for the nodes and chains of a localnet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.nodehome import NodeHome, load_config
from abci_app.rpc import CometRpc
from localnet.homes import node_home, node_name

if TYPE_CHECKING:
    from pathlib import Path

    from abci_app.nodehome import NodeConfig, NodeKind
    from localnet.manifest import ChainSpec, Manifest


@dataclass(frozen=True, slots=True)
class NodeHandle:
    """One node."""

    name: str
    chain: str
    """Name of its chain."""
    index: int
    home: NodeHome
    config: NodeConfig
    votes: bool = True
    """It is a validator of the genesis; otherwise a full node, which follows the chain and serves it."""

    @property
    def rpc_url(self) -> str:
        """URL of CometBFT's RPC."""
        return self.config.rpc_url

    @property
    def grpc_address(self) -> str:
        """host:port of the app's gRPC services; "" where it has none."""
        return str(self.config.grpc or "")

    @property
    def metrics_address(self) -> str:
        """host:port of the app's metrics; "" where it has none."""
        return str(self.config.metrics or "")

    def open_rpc(self, timeout_s: float = 10.0) -> CometRpc:
        """Return a client of the node's RPC; the caller closes it."""
        return CometRpc(self.rpc_url, timeout_s)


@dataclass(frozen=True, slots=True)
class ChainHandle:
    """One chain."""

    name: str
    kind: NodeKind
    chain_id: str
    nodes: tuple[NodeHandle, ...]

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """URLs of the RPC of all nodes."""
        return tuple(node.rpc_url for node in self.nodes)

    @property
    def grpc_addresses(self) -> tuple[str, ...]:
        """Addresses of the gRPC services of all nodes that have them."""
        return tuple(node.grpc_address for node in self.nodes if node.grpc_address)


def load_chain(directory: Path, chain: ChainSpec) -> ChainHandle:
    """Return the handle of a chain whose homes have been written.

    Raises:
      HomeMissing, HomeInvalid: a home is not as it was written.

    """
    nodes = []
    for index in range(chain.nodes):
        name = node_name(chain, index)
        home = node_home(directory, name)
        votes = index < chain.validators
        nodes.append(NodeHandle(name, chain.name, index, home, load_config(home), votes))
    return ChainHandle(chain.name, chain.kind, chain.chain_id, tuple(nodes))


def load_chains(directory: Path, manifest: Manifest) -> dict[str, ChainHandle]:
    """Return the handles of all chains by name, in the order of the manifest."""
    return {chain.name: load_chain(directory, chain) for chain in manifest.chains}
