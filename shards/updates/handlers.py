"""How updates are executed: the items of a bundle, each by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shards.errors import LyingUpdate
from shards.rounds.state import put_progress, require_progress
from shards.updates.checks import check_submission, is_repeated
from shards.updates.events import emit_update_accepted, emit_update_spent
from shards.updates.msgs import ReadUpdate, read_update
from shards.updates.state import put_update
from shards.updates.types import SlotUse
from shards.updates.verification import require_commitments, verify_ahead, verify_commitments
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.context import BlockContext, TxContext
    from abci_app.state import StateReader, StateWriter
    from shards.updates.types import Submission
    from wire.gradchain.fl.v1 import update_pb2


class UpdateItems:
    """The shard's `ItemHandler`.  Which failures cost a participant its slot is explained in `checks`."""

    __slots__ = ()

    def read(self, update: update_pb2.Update) -> ReadUpdate:
        """Read an update; see `msgs.read_update`."""
        return read_update(update)

    def check(self, ctx: TxContext, state: StateReader, item: ReadUpdate) -> None:
        """Run all checks but that of the commitments.

        Raises:
          AppError: why the update would bring nothing; see `check_submission`.

        """
        check_submission(ctx.block, state, item.require_submission())

    def verify_batch(self, ctx: BlockContext, state: StateReader, items: Sequence[ReadUpdate]) -> None:
        """Check the commitments of all updates that pass everything else, and remember the verdicts."""
        verify_commitments(ctx.services, self._choose(ctx, state, items))

    def verify_ahead(self, ctx: BlockContext, state: StateReader, items: Sequence[ReadUpdate]) -> None:
        """Check the same before the block is decided, as far as it takes one step; see `verification.verify_ahead`."""
        verify_ahead(ctx.services, self._choose(ctx, state, items))

    @staticmethod
    def _choose(ctx: BlockContext, state: StateReader, items: Sequence[ReadUpdate]) -> list[Submission]:
        """Return the updates that pass all other checks.

        Of two updates for one slot the first will take it or spend it, so the second one's commitments never matter.
        """
        chosen: dict[tuple[bytes, bytes], Submission] = {}
        for item in items:
            try:
                submission = item.require_submission()
                slot = (submission.round_id.encode(), submission.participant)
                if slot not in chosen:
                    check_submission(ctx, state, submission)
                    chosen[slot] = submission
            except AppError:
                continue  # it fails with its own code when it is executed
        return list(chosen.values())

    def handle(self, ctx: TxContext, state: StateWriter, item: ReadUpdate) -> None:
        """Take an update; one that was taken before is a success that changes nothing.

        Raises:
          AppError: why it is not taken; a `LyingUpdate` costs the participant its slot.

        """
        submission = item.require_submission()
        if is_repeated(state, submission):
            return
        check_submission(ctx.block, state, submission)
        require_commitments(ctx.services, submission)
        record = put_update(state, submission, SlotUse.ACCEPTED, ctx.height)
        progress = require_progress(state, submission.round_id)
        put_progress(state, submission.round_id, replace(progress, accepted=progress.accepted + 1))
        emit_update_accepted(ctx, submission, record)

    def on_failure(self, ctx: TxContext, state: StateWriter, item: ReadUpdate, error: AppError) -> None:
        """Spend the slot of a participant that signed something untrue, and keep what it signed as evidence."""
        if not isinstance(error, LyingUpdate):
            return
        submission = item.require_submission()
        record = put_update(state, submission, SlotUse.SPENT, ctx.height)
        progress = require_progress(state, submission.round_id)
        put_progress(state, submission.round_id, replace(progress, spent=progress.spent + 1))
        emit_update_spent(ctx, submission, record)
