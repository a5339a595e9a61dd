"""The shard's part of the genesis file.

```json
{
  "authority": "grad1...",
  "hub_chain_id": "hub-1",
  "hub_client_id": "07-tendermint-0",
  "params": {"max_assigned": 1024, "checkpoint_allowance_s": 600, "retention_s": 604800}
}
```

All four entries are required; `params` may leave entries out.  The authority is the account that creates light
clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ibc.errors import InvalidIdentifier
from ibc.identifiers import check_client_id
from shards.config import ShardConfig
from shards.errors import InvalidGenesis
from shards.params import parse_params
from tx.failures import InvalidAddress
from tx.keys import parse_address
from tx.limits import MAX_CHAIN_ID_BYTES

_FIELDS: Final = ("authority", "hub_chain_id", "hub_client_id", "params")


@dataclass(frozen=True, slots=True)
class ShardGenesis:
    """What a shard starts with."""

    authority: bytes
    """Public key of the account that creates light clients."""
    config: ShardConfig


def parse_genesis(app_state: Mapping[str, object]) -> ShardGenesis:
    """Return what a genesis file's `app_state` says, after checking all of it.

    Raises:
      InvalidGenesis: an entry is missing, unknown, or malformed.

    """
    unknown = sorted(set(app_state) - set(_FIELDS))
    if unknown:
        raise InvalidGenesis(f"expected only {', '.join(_FIELDS)}, got {unknown[0]!r}")
    params = _require(app_state, "params")
    if not isinstance(params, Mapping):
        raise InvalidGenesis("expected an object as params, got something else")
    config = ShardConfig(
        hub_chain_id=_check_chain_id(_require_text(app_state, "hub_chain_id")),
        hub_client_id=_check_client(_require_text(app_state, "hub_client_id")),
        params=parse_params(params),
    )
    return ShardGenesis(_parse_authority(_require_text(app_state, "authority")), config)


def _require(app_state: Mapping[str, object], name: str) -> object:
    if name not in app_state:
        raise InvalidGenesis(f"expected an entry {name}, got none")
    return app_state[name]


def _require_text(app_state: Mapping[str, object], name: str) -> str:
    value = _require(app_state, name)
    if not isinstance(value, str):
        raise InvalidGenesis(f"expected text as {name}, got something else")
    return value


def _parse_authority(text: str) -> bytes:
    try:
        return parse_address(text)
    except InvalidAddress as error:
        raise InvalidGenesis(f"authority: {error.message}") from None


def _check_chain_id(text: str) -> str:
    if not 1 <= len(text.encode()) <= MAX_CHAIN_ID_BYTES:
        raise InvalidGenesis(
            f"expected 1 to {MAX_CHAIN_ID_BYTES} bytes in hub_chain_id, got {len(text.encode())}"
        )
    return text


def _check_client(text: str) -> str:
    try:
        check_client_id(text)
    except InvalidIdentifier as error:
        raise InvalidGenesis(f"hub_client_id: {error.message}") from None
    return text
