"""Events of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tx.keys import format_address

if TYPE_CHECKING:
    from hub.events import Emitter


def emit_transfer(ctx: Emitter, sender: bytes, receiver: bytes, amount: int) -> None:
    """Tell that tokens have moved."""
    ctx.emit("transfer", sender=format_address(sender), receiver=format_address(receiver), amount=str(amount))
