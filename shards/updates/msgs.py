"""From bytes that anyone may have sent to a submission whose fields have the right sizes."""

from __future__ import annotations

from hashlib import sha256

from aggregation.payload import payload_root
from shards.rounds.types import RoundId
from shards.updates.types import ReadUpdate, Submission
from tx.codec import decode_canonical, encode
from tx.errors import AppError
from tx.failures import InvalidSignature
from tx.keys import verify_signature
from tx.statements import check_statement, statement_digest
from wire.gradchain.fl.v1 import update_pb2


def read_update(update: update_pb2.Update) -> ReadUpdate:
    """Return an update with its claim: its slot if it is authentic, else nothing but itself.

    An honest proposer puts a claim into a block only once.  If unsigned or swapped bytes could claim a slot, they
    could keep the genuine update out of a block, and past the close of its round.  The assignment proof belongs to
    the claim for the same reason: a carrier can spoil it.
    """
    try:
        submission = parse_submission(update)
    except AppError as error:
        return ReadUpdate(_claim(b"malformed", encode(update)), error)
    if not submission.is_authentic:
        return ReadUpdate(_claim(b"unsigned", encode(update)), submission)
    slot = submission.round_id.encode() + submission.participant
    return ReadUpdate(_claim(b"slot", slot + encode(submission.assignment)), submission)


def parse_submission(update: update_pb2.Update) -> Submission:
    """Return the submission in an update, after every check of its statement that needs neither state nor keys.

    Raises:
      MalformedEncoding, UnknownField, NonCanonicalEncoding: the bytes are no canonical statement.
      InvalidStatement: a field has a size or value that no valid update has.

    """
    signed = update.signed
    statement_bytes = signed.statement
    statement = decode_canonical(update_pb2.UpdateStatement, statement_bytes)
    check_statement(statement)
    payload = update.payload
    # A copy: a part of a message keeps all of it, so the payload would stay in memory twice.
    assignment = update_pb2.AssignmentProof()
    assignment.CopyFrom(update.assignment)
    return Submission(
        round_id=RoundId(statement.task, statement.round, statement.attempt),
        participant=statement.participant,
        statement=statement,
        statement_bytes=statement_bytes,
        signature=signed.signature,
        assignment=assignment,
        payload=payload,
        payload_root=payload_root(payload),
        is_signed=_is_signed(statement.participant, statement_bytes, signed.signature),
    )


def statement_sha256(statement_bytes: bytes) -> bytes:
    """Return the digest by which records, events and clients name a statement."""
    return sha256(statement_bytes).digest()


def _is_signed(participant: bytes, statement_bytes: bytes, signature: bytes) -> bool:
    try:
        verify_signature(participant, statement_digest(statement_bytes), signature)
    except InvalidSignature:
        return False
    return True


def _claim(kind: bytes, content: bytes) -> bytes:
    return sha256(kind + b"/" + content).digest()
