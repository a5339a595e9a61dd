"""Events of settlements."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.events import Emitter
    from hub.settlement.types import PaidSettlement


def emit_round_settled(
    ctx: Emitter,
    task: int,
    round_number: int,
    settled: PaidSettlement,
    left_over: int,
    settlement_root: bytes,
) -> None:
    """Tell what a round has paid to participants and relayers, and what went to the treasury."""
    ctx.emit(
        "round_settled",
        task=str(task),
        round=str(round_number),
        paid=str(settled.paid),
        relay_paid=str(settled.relay_paid),
        left_over=str(left_over),
        settlement_root=settlement_root.hex(),
    )
