"""Reading and writing updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import BULK
from shards.errors import MissingBlob, UnknownUpdate
from shards.updates.keys import (
    parse_record_key,
    payload_key,
    payload_prefix,
    payload_segment,
    record_key,
    record_prefix,
    signed_key,
    signed_prefix,
)
from shards.updates.msgs import statement_sha256
from shards.updates.types import SlotUse, UpdateRecord
from tx.codec import encode
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from shards.rounds.types import RoundId
    from shards.updates.types import Submission


def put_update(state: StateWriter, submission: Submission, use: SlotUse, height: int) -> UpdateRecord:
    """Use up a participant's slot, and keep what was signed together with its payload."""
    round_id = submission.round_id
    record = UpdateRecord(
        use=use,
        height=height,
        payload_bytes=len(submission.payload),
        statement_digest=statement_sha256(submission.statement_bytes),
        payload_digest=state.put_blob(payload_segment(round_id), submission.payload),
    )
    signed = update_pb2.SignedStatement(statement=submission.statement_bytes, signature=submission.signature)
    kept = update_pb2.Update(signed=signed, assignment=submission.assignment)
    state.set(BULK, record_key(round_id, submission.participant), record.encode())
    state.set(BULK, signed_key(round_id, submission.participant), encode(kept))
    state.set(BULK, payload_key(round_id, submission.statement.payload_root), record.payload_digest)
    return record


def get_record(state: StateReader, round_id: RoundId, participant: bytes) -> UpdateRecord | None:
    """Return what a participant's slot in a round was used for, or None while it is free."""
    encoded = state.get(BULK, record_key(round_id, participant))
    return None if encoded is None else UpdateRecord.decode(encoded)


def list_accepted(state: StateReader, round_id: RoundId) -> dict[bytes, UpdateRecord]:
    """Return the updates of a round that count, by participant, ascending."""
    records = {
        parse_record_key(key): UpdateRecord.decode(value)
        for key, value in state.scan(BULK, record_prefix(round_id))
    }
    return {key: record for key, record in records.items() if record.use is SlotUse.ACCEPTED}


def get_signed(state: StateReader, round_id: RoundId, participant: bytes) -> update_pb2.Update | None:
    """Return a participant's update without its payload, or None when there is none or it was pruned."""
    encoded = state.get(BULK, signed_key(round_id, participant))
    return None if encoded is None else update_pb2.Update.FromString(encoded)


def require_signed(state: StateReader, round_id: RoundId, participant: bytes) -> update_pb2.Update:
    """Return a participant's update without its payload.

    Raises:
      UnknownUpdate: there is none, or it was pruned.

    """
    found = get_signed(state, round_id, participant)
    if found is None:
        raise UnknownUpdate(f"expected an update of {participant.hex()} in round {round_id}, got none")
    return found


def get_payload(state: StateReader, round_id: RoundId, payload_root: bytes) -> bytes | None:
    """Return the payload with that root, or None when there is none or it was pruned."""
    digest = state.get(BULK, payload_key(round_id, payload_root))
    return None if digest is None else state.get_blob(payload_segment(round_id), digest)


def require_payload(state: StateReader, round_id: RoundId, record: UpdateRecord) -> bytes:
    """Return the payload of a record.

    Raises:
      MissingBlob: the disk has lost it.

    """
    payload = state.get_blob(payload_segment(round_id), record.payload_digest)
    if payload is None:
        raise MissingBlob(f"expected payload {record.payload_digest.hex()} of round {round_id}, got nothing")
    return payload


def drop_updates(state: StateWriter, round_id: RoundId) -> None:
    """Forget the payloads and signed statements of a round; what the slots were used for stays."""
    state.drop_segment(payload_segment(round_id))
    for prefix in (signed_prefix(round_id), payload_prefix(round_id)):
        for key in [key for key, _ in state.scan(BULK, prefix)]:
            state.delete(BULK, key)
