"""Keys of the registry of shards in the bulk store.

| key | value |
|---|---|
| `registry/authority` | address of the account that admits shards |
| `registry/shard/` chain id | what the hub knows of the shard |
| `registry/client/` client id | chain id of the shard that the light client follows |
| `registry/count` | number of shards, eight bytes big-endian |
"""

from __future__ import annotations

from typing import Final

AUTHORITY_KEY: Final = b"registry/authority"
SHARD_PREFIX: Final = b"registry/shard/"
CLIENT_PREFIX: Final = b"registry/client/"
COUNT_KEY: Final = b"registry/count"


def shard_key(chain_id: str) -> bytes:
    """Return the key of a shard's record."""
    return SHARD_PREFIX + chain_id.encode()


def client_key(client_id: str) -> bytes:
    """Return the key of the shard that a light client follows."""
    return CLIENT_PREFIX + client_id.encode()
