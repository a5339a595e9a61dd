"""The configuration of a relayer between played chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.keyfile import save_key
from bench.played.app import AUTHORITY, RELAYER
from relayer.config import ChainConfig, RelayerConfig
from relayer.types import ChainId

if TYPE_CHECKING:
    from pathlib import Path

    from bench.played.node import PlayedNode


def make_config(hub: PlayedNode, shard: PlayedNode, directory: Path) -> RelayerConfig:
    """Return the configuration of a relayer, and write its keys."""
    authority, relayer = directory / "authority.json", directory / "relayer.json"
    if not authority.exists():
        save_key(authority, AUTHORITY)
        save_key(relayer, RELAYER)
    return RelayerConfig(
        hub=ChainConfig(ChainId(hub.chain_id), (hub.address,), (relayer,), authority),
        shards=(ChainConfig(ChainId(shard.chain_id), (shard.address,), (relayer,), authority),),
        journal=directory / "relayer.db",
        request_timeout_s=5,
    )
