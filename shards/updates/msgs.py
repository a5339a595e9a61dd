"""From bytes that anyone may have sent to a submission whose fields have the right sizes, and to its claim."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from shards.rounds.types import RoundId
from shards.updates.types import Submission
from tx.codec import decode_canonical, encode
from tx.errors import AppError
from tx.statements import check_statement
from wire.gradchain.fl.v1 import update_pb2


@dataclass(frozen=True, slots=True)
class Malformed:
    """An update without a well-formed statement."""

    update: update_pb2.Update
    error: AppError


@dataclass(frozen=True)
class ReadUpdate:
    """An update as it was read: a submission, or why it is none."""

    found: Submission | Malformed

    def require_submission(self) -> Submission:
        """Return the submission.

        Raises:
          AppError: why there is none.

        """
        if isinstance(self.found, Submission):
            return self.found
        # One object for every reading: what an earlier raise has left on it must not pile up.
        raise self.found.error.with_traceback(None)

    @cached_property
    def claim(self) -> bytes:
        """The slot of an authentic update; any other claims nothing but itself.

        A mempool takes no bundle whose claims are all pending, and no bundle may have two equal ones.  If unsigned or
        swapped bytes could claim a slot, they could keep the genuine update out, and past the close of its round.  The
        assignment proof belongs to the claim for the same reason: a carrier can spoil it.
        """
        found = self.found
        if isinstance(found, Malformed):
            return _claim(b"malformed", encode(found.update))
        if not found.is_authentic:
            return _claim(b"unsigned", encode(_rebuild_update(found)))
        return _claim(b"slot", found.round_id.encode() + found.participant + encode(found.assignment))


def read_update(update: update_pb2.Update) -> ReadUpdate:
    """Return an update as it is read; it does not fail."""
    try:
        return ReadUpdate(parse_submission(update))
    except AppError as error:
        return ReadUpdate(Malformed(update, error))


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
        payload=update.payload,
    )


def statement_sha256(statement_bytes: bytes) -> bytes:
    """Return the digest by which records, events and clients name a statement."""
    return sha256(statement_bytes).digest()


def _rebuild_update(submission: Submission) -> update_pb2.Update:
    signed = update_pb2.SignedStatement(statement=submission.statement_bytes, signature=submission.signature)
    return update_pb2.Update(signed=signed, assignment=submission.assignment, payload=submission.payload)


def _claim(kind: bytes, content: bytes) -> bytes:
    return sha256(kind + b"/" + content).digest()
