"""What the genesis fixes about a shard for good: its hub, the client that follows it, and the limits.

Keys of the bulk store: `config/hub-chain-id`, `config/hub-client-id`, `config/params`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.state import BULK
from shards.params import ShardParams

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter

HUB_CHAIN_KEY: Final = b"config/hub-chain-id"
HUB_CLIENT_KEY: Final = b"config/hub-client-id"
PARAMS_KEY: Final = b"config/params"

_PARAMS: Final = struct.Struct(">IQQ")


@dataclass(frozen=True, slots=True)
class ShardConfig:
    """The fixed settings of a shard."""

    hub_chain_id: str
    hub_client_id: str
    """The light client that follows the hub.  Packets to the shard's port are taken over this one alone."""
    params: ShardParams


def put_config(state: StateWriter, config: ShardConfig) -> None:
    """Write the settings; done once, at genesis."""
    params = config.params
    state.set(BULK, HUB_CHAIN_KEY, config.hub_chain_id.encode())
    state.set(BULK, HUB_CLIENT_KEY, config.hub_client_id.encode())
    packed = _PARAMS.pack(params.max_assigned, params.checkpoint_allowance_s, params.retention_s)
    state.set(BULK, PARAMS_KEY, packed)


def hub_chain_id(state: StateReader) -> str:
    """Return the chain id of the hub."""
    return _require(state, HUB_CHAIN_KEY).decode()


def hub_client_id(state: StateReader) -> str:
    """Return the id of the light client that follows the hub."""
    return _require(state, HUB_CLIENT_KEY).decode()


def shard_params(state: StateReader) -> ShardParams:
    """Return the limits of this shard."""
    return ShardParams(*_PARAMS.unpack(_require(state, PARAMS_KEY)))


def _require(state: StateReader, key: bytes) -> bytes:
    value = state.get(BULK, key)
    if value is None:
        raise LookupError(f"the state has no {key.decode()}: it was not made by this app's genesis")
    return value
