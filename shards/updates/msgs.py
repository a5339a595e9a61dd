"""From bytes that anyone may have sent to a submission whose fields have the right sizes."""

from __future__ import annotations

from hashlib import sha256

from shards.rounds.types import RoundId
from shards.updates.types import Submission
from tx.codec import decode_canonical
from tx.statements import check_statement
from wire.gradchain.fl.v1 import update_pb2


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
    return Submission(
        round_id=RoundId(statement.task, statement.round, statement.attempt),
        participant=statement.participant,
        statement=statement,
        statement_bytes=statement_bytes,
        signature=signed.signature,
        assignment=update.assignment,
        payload=update.payload,
    )


def statement_sha256(statement_bytes: bytes) -> bytes:
    """Return the digest by which records, events and clients name a statement."""
    return sha256(statement_bytes).digest()
