"""The checks of an update, cheapest first.

All of them run in CheckTx but the last, that of the commitments, which runs over all updates of a block at once.

**Who may be punished for what.**  A participant has one slot a round, and a lie uses it up: without that, a liar could
make the shard compute commitments again and again.  But anyone may carry an update, so whatever a carrier can change
must not cost the participant its slot.  A carrier can change the signature, the assignment proof and the payload.
Hence:

| what fails | whose doing | slot |
|---|---|---|
| form, round, destination, spec, base, scale, number of commitments | the signer's, perhaps; cheap to find | kept |
| assignment proof, signature, size or root of the payload | anyone's: a genuine statement, wrong companions | kept |
| range or counts of a payload whose root was signed | the signer's: it signed these very bytes | spent |
| commitments to a payload whose root was signed | the signer's | spent |

Everything that keeps the slot is found before the first expensive step, so it may be repeated for free as little as
any other nonsense; everything expensive is paid for with a slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregation.assignment import verify_assignment
from aggregation.errors import MerklePathError
from shards.config import hub_chain_id
from shards.errors import (
    AlreadyAccepted,
    NotAssigned,
    RoundClosed,
    SecondUpdate,
    SlotSpent,
    WrongBase,
    WrongCommitmentCount,
    WrongDestination,
    WrongPayloadSize,
    WrongScale,
    WrongSpec,
)
from shards.rounds.state import require_progress, require_round
from shards.rounds.types import RoundStatus
from shards.updates.msgs import statement_sha256
from shards.updates.state import get_record
from shards.updates.types import SlotUse
from shards.updates.verification import check_authentic, verify_content

if TYPE_CHECKING:
    from abci_app.context import BlockContext
    from abci_app.state import StateReader
    from shards.rounds.types import Round
    from shards.updates.types import Submission


def check_submission(ctx: BlockContext, state: StateReader, submission: Submission) -> None:
    """Run all checks but that of the commitments.

    Raises:
      AlreadyAccepted, SecondUpdate, SlotSpent: the participant's slot in the round is used.
      UnknownRound, RoundClosed, WrongDestination, WrongSpec, WrongBase, WrongScale, NotAssigned, WrongPayloadSize,
        WrongCommitmentCount: the update does not fit the round.
      InvalidSignature, PayloadMismatch: the parts of the update do not belong together.
      PayloadOutOfRange, CountMismatch: the participant signed something untrue.

    """
    check_slot(state, submission)
    opening = require_round(state, submission.round_id)
    check_round_open(ctx, state, opening)
    check_statement_fits(ctx, state, opening, submission)
    check_assignment(opening, submission)
    check_sizes(opening, submission)
    check_authentic(submission)
    verify_content(submission, ctx.services.verified)


def is_repeated(state: StateReader, submission: Submission) -> bool:
    """Whether this very statement was accepted before."""
    record = get_record(state, submission.round_id, submission.participant)
    return (
        record is not None
        and record.use is SlotUse.ACCEPTED
        and record.statement_digest == statement_sha256(submission.statement_bytes)
    )


def check_slot(state: StateReader, submission: Submission) -> None:
    """Check that the participant's one slot in the round is free.

    Raises:
      AlreadyAccepted: this very statement was accepted.
      SecondUpdate: another statement was accepted.
      SlotSpent: an untrue statement used the slot up.

    """
    record = get_record(state, submission.round_id, submission.participant)
    if record is None:
        return
    where = f"{submission.participant.hex()} in round {submission.round_id}"
    if record.use is SlotUse.SPENT:
        raise SlotSpent(f"expected a free slot of {where}, got one spent at height {record.height}")
    if record.statement_digest == statement_sha256(submission.statement_bytes):
        raise AlreadyAccepted(
            f"expected a new update of {where}, got the one of height {record.height} again"
        )
    raise SecondUpdate(f"expected one update of {where}, got another than that of height {record.height}")


def check_round_open(ctx: BlockContext, state: StateReader, opening: Round) -> None:
    """Check that the round takes updates in a block of this time.

    Raises:
      RoundClosed: it does not.

    """
    status = require_progress(state, opening.round_id).status
    if status is not RoundStatus.OPEN:
        raise RoundClosed(f"expected an open round, got {opening.round_id}, which is {status.name}")
    if ctx.time_ns >= opening.close_time_ns:
        raise RoundClosed(f"expected a block before {opening.close_time_ns}, got one of {ctx.time_ns}")


def check_statement_fits(
    ctx: BlockContext, state: StateReader, opening: Round, submission: Submission
) -> None:
    """Check that the statement is meant for this hub, shard and round, and has its base and scale.

    Raises:
      WrongDestination, WrongSpec, WrongBase, WrongScale: as their names say.

    """
    statement = submission.statement
    destination = (hub_chain_id(state), ctx.chain_id)
    if (statement.hub_chain_id, statement.shard) != destination:
        raise WrongDestination(
            f"expected hub and shard {destination}, got {(statement.hub_chain_id, statement.shard)}"
        )
    if statement.spec_digest != opening.spec_digest:
        raise WrongSpec(f"expected {opening.spec_digest.hex()}, got {statement.spec_digest.hex()}")
    if statement.base_root != opening.base_root:
        raise WrongBase(f"expected {opening.base_root.hex()}, got {statement.base_root.hex()}")
    if statement.scale != opening.scale:
        raise WrongScale(f"expected {opening.scale}, got {statement.scale}")


def check_assignment(opening: Round, submission: Submission) -> None:
    """Check that the participant is one of those that the hub assigned to this shard.

    The tree's size is compared too: a path alone does not fix it, and a proof must have one form.

    Raises:
      NotAssigned: the proof does not show it.

    """
    proof = submission.assignment
    if proof.count != opening.assigned:
        raise NotAssigned(f"expected a proof in a tree of {opening.assigned}, got one of {proof.count}")
    try:
        verify_assignment(opening.assignment_root, proof, submission.statement)
    except MerklePathError as error:
        raise NotAssigned(error.message) from None


def check_sizes(opening: Round, submission: Submission) -> None:
    """Check that there is one byte a parameter, and one commitment a blob.

    Raises:
      WrongPayloadSize, WrongCommitmentCount: as their names say.

    """
    if len(submission.payload) != opening.parameters:
        raise WrongPayloadSize(f"expected {opening.parameters} bytes, got {len(submission.payload)}")
    if len(submission.statement.commitments) != opening.blobs:
        raise WrongCommitmentCount(
            f"expected {opening.blobs} commitments, got {len(submission.statement.commitments)}"
        )
