"""Files that hold one update, and what can be checked about an update without a chain."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from aggregation.kzg import commit_update, load_setup, setup_path
from aggregation.payload import blob_count, decode_payload, payload_root
from aggregation.quantise import count_clipped, count_large
from cli.errors import UpdateFileInvalid, UpdateUntrue
from tx.codec import decode_canonical, encode
from tx.errors import AppError
from tx.keys import format_address
from tx.statements import verify_statement
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class StatementView:
    """What a participant has signed of its update."""

    participant: str
    hub_chain_id: str
    task: int
    round: int
    attempt: int
    shard: str
    scale: int
    clipped: int
    """Coordinates at the limit of the format."""
    large: int
    """Coordinates of at least half the range."""
    max_fee: int
    spec_digest: bytes
    base_root: bytes
    payload_root: bytes
    statement_digest: bytes
    """sha256 of the statement's bytes."""
    signature_valid: bool


@dataclass(frozen=True, slots=True)
class UpdateView:
    """An update in a file."""

    file: str
    statement: StatementView
    assignment_index: int
    assigned: int
    payload_bytes: int
    payload_matches: bool
    """Root and counts of the payload are those of the statement."""
    commitments_match: bool | None
    """Nothing if they were not computed again."""
    commitments: tuple[bytes, ...]


def read_update(path: Path) -> update_pb2.Update:
    """Read an update.

    Raises:
      UpdateFileInvalid: the file holds something else.
      OSError: it cannot be read.

    """
    try:
        return decode_canonical(update_pb2.Update, path.read_bytes())
    except AppError as error:
        raise UpdateFileInvalid(f"expected an update in {path}, got other content: {error.message}") from None


def describe_statement(statement: update_pb2.UpdateStatement) -> StatementView:
    """Return the view of a statement whose signature was checked."""
    return StatementView(
        participant=format_address(statement.participant),
        hub_chain_id=statement.hub_chain_id,
        task=statement.task,
        round=statement.round,
        attempt=statement.attempt,
        shard=statement.shard,
        scale=statement.scale,
        clipped=statement.clipped,
        large=statement.large,
        max_fee=statement.max_fee,
        spec_digest=statement.spec_digest,
        base_root=statement.base_root,
        payload_root=statement.payload_root,
        statement_digest=sha256(encode(statement)).digest(),
        signature_valid=True,
    )


def describe_file(file: Path, *, check_commitments: bool) -> UpdateView:
    """Read an update, check it, and return its view.

    Raises:
      UpdateFileInvalid, UpdateUntrue, InvalidStatement, InvalidSignature: as their names say.
      OSError: the file cannot be read.

    """
    update = read_update(file)
    statement = verify_statement(update.signed)
    check_payload(update, statement, with_commitments=check_commitments)
    return UpdateView(
        file=str(file),
        statement=describe_statement(statement),
        assignment_index=update.assignment.index,
        assigned=update.assignment.count,
        payload_bytes=len(update.payload),
        payload_matches=True,
        commitments_match=True if check_commitments else None,
        commitments=tuple(statement.commitments),
    )


def check_payload(
    update: update_pb2.Update, statement: update_pb2.UpdateStatement, *, with_commitments: bool
) -> None:
    """Check what a statement says of its payload.

    Raises:
      UpdateUntrue: root, number of commitments, counts or commitments are others.
      PayloadRangeError: a coordinate is outside the format.

    """
    q = decode_payload(update.payload, len(update.payload))
    found = payload_root(update.payload)
    if found != statement.payload_root:
        raise UpdateUntrue(f"expected a payload with root {statement.payload_root.hex()}, got {found.hex()}")
    if blob_count(q.size) != len(statement.commitments):
        raise UpdateUntrue(f"expected {blob_count(q.size)} commitments, got {len(statement.commitments)}")
    counts = (count_clipped(q), count_large(q))
    if counts != (statement.clipped, statement.large):
        raise UpdateUntrue(
            f"expected {counts[0]} clipped and {counts[1]} large coordinates, "
            f"got {statement.clipped} and {statement.large}"
        )
    if with_commitments:
        setup = load_setup(setup_path().read_bytes())
        if commit_update(setup, q) != tuple(statement.commitments):
            raise UpdateUntrue("expected commitments to the payload, got others")
