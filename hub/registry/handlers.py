"""Messages of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.definition import MessageHandler
from hub.checks import check_address, check_chain_id
from hub.errors import NotAuthority, ShardExists, TooManyShards
from hub.link import check_client
from hub.params import get_params
from hub.registry.events import emit_shard_registered
from hub.registry.state import count_shards, get_authority, get_chain_of_client, get_shard, put_shard
from hub.registry.types import ShardRecord
from ibc.identifiers import check_client_id
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.context import TxContext
    from abci_app.state import StateReader, StateWriter


def list_authorities(message: tx_pb2.MsgRegisterShard) -> tuple[bytes, ...]:
    """Return the authority."""
    return (message.authority,)


def check_register_shard(message: tx_pb2.MsgRegisterShard) -> None:
    """Check the fields of a registration.

    Raises:
      InvalidField, InvalidIdentifier: an address, a chain id or a client id has another form.

    """
    check_address("authority", message.authority)
    check_chain_id("chain_id", message.chain_id)
    check_client_id(message.client_id)


def handle_register_shard(ctx: TxContext, state: StateWriter, message: tx_pb2.MsgRegisterShard) -> None:
    """Admit a chain as a shard.

    A shard that has become inactive is admitted again, over its light client: that is how the authority brings back a
    shard which cannot show by a checkpoint that it works again.  If that client is expired or frozen, it is brought
    back first, from a substitute (`MsgRecoverClient`).  A new client is taken as well, but no packet passes over it
    while the shard's own client is tied to the one before, and such a tie is for good (LINK-CLIENT-1): that is for a
    chain that was begun anew under the same id.

    Raises:
      NotAuthority, ShardExists, TooManyShards, ClientUnusable, ClientOfAnotherChain: as their names say.

    """
    authority = get_authority(state)
    if message.authority != authority:
        raise NotAuthority("expected the authority of the genesis, got another account")
    _check_unique(state, message)
    check_client(ctx, state, message.client_id, message.chain_id)
    shard = ShardRecord(message.chain_id, message.client_id, is_active=True, missed=0)
    put_shard(state, shard)
    emit_shard_registered(ctx, shard)


def _check_unique(state: StateReader, message: tx_pb2.MsgRegisterShard) -> None:
    known = get_shard(state, message.chain_id)
    if known is not None and known.is_active:
        raise ShardExists(f"expected a chain that is no active shard, got {message.chain_id!r}")
    owner = get_chain_of_client(state, message.client_id)
    if owner not in {None, message.chain_id}:
        raise ShardExists(f"expected a client of no other shard, got {message.client_id!r} of {owner!r}")
    limit = get_params(state).max_shards
    if known is None and count_shards(state) >= limit:
        raise TooManyShards(f"expected fewer than {limit} shards, got {count_shards(state)}")


REGISTER_SHARD = MessageHandler(
    tx_pb2.MsgRegisterShard, list_authorities, check_register_shard, handle_register_shard
)
