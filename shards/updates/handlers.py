"""How updates are executed: the items of a bundle, each by itself."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from shards.errors import LyingUpdate
from shards.rounds.state import put_progress, require_progress
from shards.updates.checks import check_submission, is_repeated
from shards.updates.events import emit_update_accepted, emit_update_spent
from shards.updates.msgs import parse_submission
from shards.updates.state import put_update
from shards.updates.types import SlotUse
from shards.updates.verification import is_authentic, require_commitments, verify_commitments
from tx.codec import encode
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

    def check(self, ctx: TxContext, state: StateReader, update: update_pb2.Update) -> None:
        """Run all checks but that of the commitments.

        Raises:
          AppError: why the update would bring nothing; see `check_submission`.

        """
        check_submission(ctx.block, state, parse_submission(update))

    def verify_batch(
        self, ctx: BlockContext, state: StateReader, updates: Sequence[update_pb2.Update]
    ) -> None:
        """Check the commitments of all updates that pass everything else, and remember the verdicts.

        Of two updates for one slot the first will take it or spend it, so the second one's commitments never matter.
        """
        chosen: dict[tuple[bytes, bytes], Submission] = {}
        for update in updates:
            try:
                submission = parse_submission(update)
                slot = (submission.round_id.encode(), submission.participant)
                if slot not in chosen:
                    check_submission(ctx, state, submission)
                    chosen[slot] = submission
            except AppError:
                continue  # it fails with its own code when it is executed
        verify_commitments(ctx.services, list(chosen.values()))

    def handle(self, ctx: TxContext, state: StateWriter, update: update_pb2.Update) -> None:
        """Take an update; one that was taken before is a success that changes nothing.

        Raises:
          AppError: why it is not taken; a `LyingUpdate` costs the participant its slot.

        """
        submission = parse_submission(update)
        if is_repeated(state, submission):
            return
        check_submission(ctx.block, state, submission)
        require_commitments(ctx.services, submission)
        record = put_update(state, submission, SlotUse.ACCEPTED, ctx.height)
        progress = require_progress(state, submission.round_id)
        put_progress(state, submission.round_id, replace(progress, accepted=progress.accepted + 1))
        emit_update_accepted(ctx, submission, record)

    def on_failure(
        self, ctx: TxContext, state: StateWriter, update: update_pb2.Update, error: AppError
    ) -> None:
        """Spend the slot of a participant that signed something untrue, and keep what it signed as evidence."""
        if not isinstance(error, LyingUpdate):
            return
        submission = parse_submission(update)
        record = put_update(state, submission, SlotUse.SPENT, ctx.height)
        progress = require_progress(state, submission.round_id)
        put_progress(state, submission.round_id, replace(progress, spent=progress.spent + 1))
        emit_update_spent(ctx, submission, record)

    def identity(self, update: update_pb2.Update) -> bytes:
        """Return the claim of an update: its slot if it is authentic, else nothing but itself.

        An honest proposer puts a claim into a block only once.  If unsigned or swapped bytes could claim a slot, they
        could keep the genuine update out of a block, and past the close of its round.  The assignment proof belongs
        to the claim for the same reason: a carrier can spoil it.
        """
        try:
            submission = parse_submission(update)
        except AppError:
            return _claim(b"malformed", encode(update))
        if not is_authentic(submission):
            return _claim(b"unsigned", encode(update))
        slot = submission.round_id.encode() + submission.participant
        return _claim(b"slot", slot + encode(submission.assignment))


def _claim(kind: bytes, content: bytes) -> bytes:
    return sha256(kind + b"/" + content).digest()
