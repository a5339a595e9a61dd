"""Events of updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.rounds.events import round_attributes
from tx.keys import format_address

if TYPE_CHECKING:
    from abci_app.context import TxContext
    from shards.updates.types import Submission, UpdateRecord


def emit_update_accepted(ctx: TxContext, submission: Submission, record: UpdateRecord) -> None:
    """Tell that an update counts."""
    _emit(ctx, "update_accepted", submission, record)


def emit_update_spent(ctx: TxContext, submission: Submission, record: UpdateRecord) -> None:
    """Tell that a participant lied and lost its slot."""
    _emit(ctx, "update_spent", submission, record)


def _emit(ctx: TxContext, kind: str, submission: Submission, record: UpdateRecord) -> None:
    ctx.emit(
        kind,
        **round_attributes(submission.round_id),
        participant=format_address(submission.participant),
        statement_digest=record.statement_digest.hex(),
    )
