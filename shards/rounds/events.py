"""Events of rounds, for people and for indexers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibc.host import HostContext
    from shards.rounds.types import Round, RoundId


def round_attributes(round_id: RoundId) -> dict[str, str]:
    """Return the attributes that name a round in every event."""
    return {"task": str(round_id.task), "round": str(round_id.number), "attempt": str(round_id.attempt)}


def emit_round_opened(ctx: HostContext, opening: Round) -> None:
    """Tell that a round takes updates."""
    ctx.emit(
        "round_opened",
        **round_attributes(opening.round_id),
        assigned=str(opening.assigned),
        close_time_ns=str(opening.close_time_ns),
    )


def emit_round_pruned(ctx: HostContext, round_id: RoundId) -> None:
    """Tell that a round's payloads are gone."""
    ctx.emit("round_pruned", **round_attributes(round_id))
