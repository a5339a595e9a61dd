"""Read access to updates for the gRPC service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import UnknownPayload, UnknownUpdate
from shards.updates.state import get_payload, get_record, get_signed
from shards.updates.types import SlotUse
from wire.gradchain.shard.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader
    from shards.rounds.types import RoundId


def describe_update(state: StateReader, round_id: RoundId, participant: bytes) -> query_pb2.GetUpdateResponse:
    """Return what became of a participant's update.  Once the round is pruned, without the statement.

    Raises:
      UnknownUpdate: the participant's slot is free.

    """
    record = get_record(state, round_id, participant)
    if record is None:
        raise UnknownUpdate(f"expected an update of {participant.hex()} in round {round_id}, got none")
    kept = get_signed(state, round_id, participant)
    return query_pb2.GetUpdateResponse(
        signed=None if kept is None else kept.signed,
        height=record.height,
        payload_bytes=record.payload_bytes,
        accepted=record.use is SlotUse.ACCEPTED,
    )


def read_payload(state: StateReader, round_id: RoundId, payload_root: bytes) -> bytes:
    """Return the payload with that root.

    Raises:
      UnknownPayload: there is none in this round, or it was dropped.

    """
    payload = get_payload(state, round_id, payload_root)
    if payload is None:
        raise UnknownPayload(
            f"expected a payload of round {round_id}, got none with root {payload_root.hex()}"
        )
    return payload
