"""Records of the registry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What the hub knows of a shard."""

    chain_id: str
    client_id: str
    """The light client on the hub that follows the shard; packets of the shard must come over it."""

    is_active: bool
    """Whether the shard is assigned participants."""

    missed: int
    """Rounds in a row that the shard has not delivered in time."""
