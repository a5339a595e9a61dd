"""Forget what a round no longer needs, across all modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.checkpoints.state import drop_body
from shards.rounds.events import emit_round_pruned
from shards.rounds.handlers import retire_round
from shards.rounds.state import require_progress
from shards.rounds.types import RoundStatus
from shards.updates.state import drop_updates

if TYPE_CHECKING:
    from abci_app.state import StateWriter
    from ibc.host import HostContext
    from shards.rounds.types import RoundId


def prune_round(ctx: HostContext, state: StateWriter, round_id: RoundId) -> None:
    """Drop payloads, signed statements and the checkpoint's body; heads of records stay.  Again: a no-op.

    A round that is still open, or whose checkpoint waits to be sent, ends here: nobody waits for it any more.

    Raises:
      UnknownRound: the hub has not opened it here.

    """
    if require_progress(state, round_id).status is RoundStatus.PRUNED:
        return
    drop_updates(state, round_id)
    drop_body(state, round_id)
    retire_round(state, round_id)
    emit_round_pruned(ctx, round_id)
