"""Events of rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.events import Emitter
    from hub.rounds.types import RoundId
    from tx.errors import AppError
    from wire.gradchain.fl.v1 import packet_pb2, round_pb2


def _names(round_id: RoundId) -> dict[str, str]:
    return {"task": str(round_id.task), "round": str(round_id.round), "attempt": str(round_id.attempt)}


def emit_round_opened(ctx: Emitter, info: round_pb2.RoundInfo) -> None:
    """Tell that an attempt of a round takes updates."""
    ctx.emit(
        "round_opened",
        task=str(info.task),
        round=str(info.round),
        attempt=str(info.attempt),
        base_root=info.base_root.hex(),
        shards=",".join(f"{assignment.shard}:{assignment.assigned}" for assignment in info.shards),
        deadline_ns=str(info.deadline_ns),
    )


def emit_checkpoint_received(
    ctx: Emitter, round_id: RoundId, shard: str, header: packet_pb2.Checkpoint
) -> None:
    """Tell that a header has arrived, and what body it announces."""
    ctx.emit(
        "checkpoint_received",
        **_names(round_id),
        shard=shard,
        updates=str(header.updates),
        body_root=header.body_root.hex(),
        body_bytes=str(header.body_bytes),
    )


def emit_checkpoint_useless(ctx: Emitter, round_id: RoundId, shard: str) -> None:
    """Tell that a header has arrived for an attempt that came to nothing, a task that is over, or far too late."""
    ctx.emit("checkpoint_useless", **_names(round_id), shard=shard)


def emit_parts_received(ctx: Emitter, round_id: RoundId, shard: str, received: int, total: int) -> None:
    """Tell how much of a body is there."""
    ctx.emit("body_parts_received", **_names(round_id), shard=shard, received=str(received), total=str(total))


def emit_body_verified(
    ctx: Emitter, round_id: RoundId, shard: str, header: packet_pb2.Checkpoint, *, is_late: bool
) -> None:
    """Tell that a shard has delivered."""
    ctx.emit(
        "body_verified",
        **_names(round_id),
        shard=shard,
        updates=str(header.updates),
        total_weight=str(header.total_weight),
        late="true" if is_late else "false",
    )


def emit_body_rejected(ctx: Emitter, round_id: RoundId, shard: str, error: AppError) -> None:
    """Tell that a shard's body matches its root and is false."""
    ctx.emit(
        "body_rejected", **_names(round_id), shard=shard, codespace=error.CODESPACE, code=str(error.CODE)
    )


def emit_shard_missing(ctx: Emitter, round_id: RoundId, shard: str) -> None:
    """Tell that a shard will not deliver in time."""
    ctx.emit("shard_missing", **_names(round_id), shard=shard)


def emit_round_aggregated(ctx: Emitter, result: round_pb2.RoundResult) -> None:
    """Tell the outcome of a round."""
    ctx.emit(
        "round_aggregated",
        task=str(result.task),
        round=str(result.round),
        attempt=str(result.attempt),
        model_root=result.model_root.hex(),
        shards=",".join(f"{entry.shard}:{entry.updates}" for entry in result.shards),
    )


def emit_round_void(ctx: Emitter, round_id: RoundId) -> None:
    """Tell that an attempt came to nothing: too few shards had delivered at the deadline."""
    ctx.emit("round_void", **_names(round_id))
