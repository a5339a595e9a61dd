"""What can be asked about shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.registry.state import list_shards
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader


def read_shards(state: StateReader) -> query_pb2.ListShardsResponse:
    """Return all shards, sorted by chain id."""
    return query_pb2.ListShardsResponse(
        shards=[
            query_pb2.Shard(
                chain_id=shard.chain_id,
                client_id=shard.client_id,
                active=shard.is_active,
                missed_in_a_row=shard.missed,
            )
            for shard in list_shards(state)
        ]
    )
