"""Shards, and whether they deliver."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from abci_app.state import BULK
from hub.errors import ForeignClient
from hub.link import is_client_frozen
from hub.records import decode_record, encode_record
from hub.registry.events import emit_shard_activity
from hub.registry.keys import AUTHORITY_KEY, COUNT_KEY, SHARD_PREFIX, client_key, shard_key
from hub.registry.types import ShardRecord
from hub.schedule import announce_shard

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from hub.events import Emitter


def get_authority(state: StateReader) -> bytes:
    """Return the address of the account that admits shards."""
    return state.get(BULK, AUTHORITY_KEY) or b""


def init_authority(state: StateWriter, authority: bytes) -> None:
    """Write the authority of the genesis."""
    state.set(BULK, AUTHORITY_KEY, authority)


def get_shard(state: StateReader, chain_id: str) -> ShardRecord | None:
    """Return a shard, or None when no chain of that id is registered."""
    data = state.get(BULK, shard_key(chain_id))
    return None if data is None else decode_record(ShardRecord, data)


def require_shard(state: StateReader, chain_id: str) -> ShardRecord:
    """Return a shard of which the state says elsewhere that it is registered.

    Raises:
      LookupError: it is not: the state is damaged.

    """
    shard = get_shard(state, chain_id)
    if shard is None:
        raise LookupError(f"{chain_id!r} is named as a shard and is not registered: the state is damaged")
    return shard


def get_chain_of_client(state: StateReader, client_id: str) -> str | None:
    """Return the chain id of the shard that a light client follows, or None when it follows none."""
    chain_id = state.get(BULK, client_key(client_id))
    return None if chain_id is None else chain_id.decode()


def require_shard_of_client(state: StateReader, client_id: str) -> ShardRecord:
    """Return the shard that a light client follows.

    Raises:
      ForeignClient: it follows none.

    """
    chain_id = get_chain_of_client(state, client_id)
    if chain_id is None:
        raise ForeignClient(f"expected the client of a shard, got {client_id!r}")
    return require_shard(state, chain_id)


def count_shards(state: StateReader) -> int:
    """Return how many shards are registered."""
    return int.from_bytes(state.get(BULK, COUNT_KEY) or b"", "big")


def list_shards(state: StateReader) -> list[ShardRecord]:
    """Return all shards, sorted by chain id."""
    return [decode_record(ShardRecord, data) for _, data in state.scan(BULK, SHARD_PREFIX)]


def list_active_shards(state: StateReader) -> list[ShardRecord]:
    """Return the shards that can be assigned participants, sorted by chain id."""
    return [shard for shard in list_shards(state) if shard.is_active]


def put_shard(state: StateWriter, shard: ShardRecord) -> None:
    """Write a new shard, or one that was registered again, with its light client."""
    known = get_shard(state, shard.chain_id)
    if known is None:
        state.set(BULK, COUNT_KEY, (count_shards(state) + 1).to_bytes(8, "big"))
    else:
        state.delete(BULK, client_key(known.client_id))
    state.set(BULK, client_key(shard.client_id), shard.chain_id.encode())
    _set_shard(state, shard)
    announce_shard(state)


def note_alive(ctx: Emitter, state: StateWriter, shard: ShardRecord) -> None:
    """Take note of a valid packet or body of a shard: if it was inactive, it is active again.

    Not so while its client is frozen.  A body can be delivered all the same, because its header was proven before;
    but the shard could not be told of a round.
    """
    if not shard.is_active and not is_client_frozen(state, shard.client_id):
        _set_shard(state, replace(shard, is_active=True, missed=0))
        announce_shard(state)
        emit_shard_activity(ctx, shard.chain_id, is_active=True)


def note_frozen(ctx: Emitter, state: StateWriter, client_id: str) -> None:
    """Take note that a client was frozen: the shard that it follows gets no more assignments."""
    chain_id = get_chain_of_client(state, client_id)
    if chain_id is None:
        return
    shard = require_shard(state, chain_id)
    if shard.is_active:
        _set_shard(state, replace(shard, is_active=False))
        emit_shard_activity(ctx, chain_id, is_active=False)


def note_delivery(ctx: Emitter, state: StateWriter, chain_id: str) -> None:
    """Take note of a verified body of a shard."""
    shard = require_shard(state, chain_id)
    note_alive(ctx, state, shard)
    if shard.is_active and shard.missed:
        _set_shard(state, replace(shard, missed=0))


def note_miss(ctx: Emitter, state: StateWriter, chain_id: str, missing_limit: int) -> None:
    """Take note of a round that a shard has not delivered in time; too many in a row make it inactive."""
    shard = require_shard(state, chain_id)
    if not shard.is_active:
        return
    missed = shard.missed + 1
    is_active = missed < missing_limit
    _set_shard(state, replace(shard, missed=missed, is_active=is_active))
    if not is_active:
        emit_shard_activity(ctx, chain_id, is_active=False)


def _set_shard(state: StateWriter, shard: ShardRecord) -> None:
    state.set(BULK, shard_key(shard.chain_id), encode_record(shard))
