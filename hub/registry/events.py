"""Events of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.events import Emitter
    from hub.registry.types import ShardRecord


def emit_shard_registered(ctx: Emitter, shard: ShardRecord) -> None:
    """Tell that a chain was admitted as a shard, or admitted again."""
    ctx.emit("shard_registered", shard=shard.chain_id, client_id=shard.client_id)


def emit_shard_activity(ctx: Emitter, chain_id: str, *, is_active: bool) -> None:
    """Tell that a shard gets assignments again, or no more."""
    ctx.emit("shard_activity", shard=chain_id, active="true" if is_active else "false")
