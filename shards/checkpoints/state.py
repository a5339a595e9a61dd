"""Reading and writing checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import BULK
from shards.checkpoints.keys import body_segment, delivery_key, header_key, parts_key
from shards.checkpoints.types import Delivery, DeliveryStatus
from shards.errors import MissingBlob
from tx.codec import encode
from tx.limits import HASH_BYTES
from wire.gradchain.fl.v1 import packet_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from shards.checkpoints.types import BuiltCheckpoint
    from shards.rounds.types import RoundId


def put_checkpoint(state: StateWriter, round_id: RoundId, built: BuiltCheckpoint, height: int) -> None:
    """Write a checkpoint that waits to be sent, and its body."""
    state.set(BULK, header_key(round_id), encode(built.header))
    put_delivery(state, round_id, Delivery(DeliveryStatus.WAITING, height))
    digests = b"".join(state.put_blob(body_segment(round_id), part) for part in built.parts)
    if digests:
        state.set(BULK, parts_key(round_id), digests)


def get_header(state: StateReader, round_id: RoundId) -> packet_pb2.Checkpoint | None:
    """Return the header of a round's checkpoint, or None while the round is open."""
    encoded = state.get(BULK, header_key(round_id))
    return None if encoded is None else packet_pb2.Checkpoint.FromString(encoded)


def get_delivery(state: StateReader, round_id: RoundId) -> Delivery | None:
    """Return where a round's checkpoint stands on its way, or None while the round is open."""
    encoded = state.get(BULK, delivery_key(round_id))
    return None if encoded is None else Delivery.decode(encoded)


def put_delivery(state: StateWriter, round_id: RoundId, delivery: Delivery) -> None:
    """Write where a checkpoint stands on its way."""
    state.set(BULK, delivery_key(round_id), delivery.encode())


def get_body(state: StateReader, round_id: RoundId) -> list[bytes] | None:
    """Return all parts of the body of a round's checkpoint, or None when there is none or it was dropped.

    Raises:
      MissingBlob: the disk has lost a part.

    """
    digests = state.get(BULK, parts_key(round_id))
    if digests is None:
        return None
    parts = []
    for start in range(0, len(digests), HASH_BYTES):
        part = state.get_blob(body_segment(round_id), digests[start : start + HASH_BYTES])
        if part is None:
            raise MissingBlob(
                f"expected part {start // HASH_BYTES} of the body of round {round_id}, got nothing"
            )
        parts.append(part)
    return parts


def drop_body(state: StateWriter, round_id: RoundId) -> None:
    """Forget the body of a round's checkpoint; the header stays."""
    state.drop_segment(body_segment(round_id))
    state.delete(BULK, parts_key(round_id))
