"""Reading and writing of rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import BULK
from hub.errors import RoundNotFound
from hub.records import decode_record, encode_record
from hub.rounds import keys
from hub.rounds.types import RoundId, RoundRecord, ShardRoundRecord, Tally
from tx.keys import PUBLIC_KEY_BYTES
from wire.gradchain.fl.v1 import packet_pb2, round_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abci_app.state import StateReader, StateWriter

_MAX_NUMBER = 2**64 - 1
_PRESENT = b"\x01"


def get_round(state: StateReader, round_id: RoundId) -> RoundRecord | None:
    """Return an attempt of a round, or None when it was never opened."""
    if not (0 <= round_id.task <= _MAX_NUMBER and 0 <= round_id.round <= _MAX_NUMBER):
        return None
    data = state.get(BULK, keys.ROUND_PREFIX + keys.id_bytes(round_id))
    return None if data is None else decode_record(RoundRecord, data)


def require_round(state: StateReader, round_id: RoundId) -> RoundRecord:
    """Return an attempt of a round.

    Raises:
      RoundNotFound: it was never opened.

    """
    record = get_round(state, round_id)
    if record is None:
        raise RoundNotFound(
            f"expected a round that was opened, got task {round_id.task}, round {round_id.round}, "
            f"attempt {round_id.attempt}"
        )
    return record


def put_round(state: StateWriter, round_id: RoundId, record: RoundRecord) -> None:
    """Write what has changed about an attempt of a round."""
    state.set(BULK, keys.ROUND_PREFIX + keys.id_bytes(round_id), encode_record(record))


def get_newest_attempt(state: StateReader, task: int, round_number: int) -> RoundId | None:
    """Return the newest attempt of a round, or None when the round was never opened."""
    data = state.get(BULK, keys.NEWEST_PREFIX + keys.task_round(task, round_number))
    return None if data is None else RoundId(task, round_number, int.from_bytes(data, "big"))


def put_newest_attempt(state: StateWriter, round_id: RoundId) -> None:
    """Make an attempt the newest one of its round."""
    key = keys.NEWEST_PREFIX + keys.task_round(round_id.task, round_id.round)
    state.set(BULK, key, round_id.attempt.to_bytes(4, "big"))


def get_info(state: StateReader, round_id: RoundId) -> round_pb2.RoundInfo:
    """Return the opening record of an attempt that was opened."""
    return round_pb2.RoundInfo.FromString(get_info_bytes(state, round_id))


def get_info_bytes(state: StateReader, round_id: RoundId) -> bytes:
    """Return the canonical opening record of an attempt that was opened."""
    return state.get(BULK, keys.INFO_PREFIX + keys.id_bytes(round_id)) or b""


def put_info_bytes(state: StateWriter, round_id: RoundId, info: bytes) -> None:
    """Write the opening record of an attempt."""
    state.set(BULK, keys.INFO_PREFIX + keys.id_bytes(round_id), info)


def get_result(state: StateReader, task: int, round_number: int) -> round_pb2.RoundResult | None:
    """Return the outcome of a round, or None before it is aggregated."""
    data = state.get(BULK, keys.RESULT_PREFIX + keys.task_round(task, round_number))
    return None if data is None else round_pb2.RoundResult.FromString(data)


def put_result_bytes(state: StateWriter, task: int, round_number: int, result: bytes) -> None:
    """Write the canonical outcome of a round."""
    state.set(BULK, keys.RESULT_PREFIX + keys.task_round(task, round_number), result)


def get_assigned(state: StateReader, round_id: RoundId, shard: str) -> list[bytes]:
    """Return the participants of a shard in an attempt, in the order of its assignment tree."""
    joined = state.get(BULK, keys.ASSIGNED_PREFIX + keys.id_and_shard(round_id, shard)) or b""
    return [joined[start : start + PUBLIC_KEY_BYTES] for start in range(0, len(joined), PUBLIC_KEY_BYTES)]


def put_assigned(state: StateWriter, round_id: RoundId, shard: str, participants: Sequence[bytes]) -> None:
    """Write the participants of a shard in an attempt; at least one."""
    state.set(BULK, keys.ASSIGNED_PREFIX + keys.id_and_shard(round_id, shard), b"".join(participants))


def get_shard_round(state: StateReader, round_id: RoundId, shard: str) -> ShardRoundRecord | None:
    """Return where a shard stands in an attempt, or None when it has no part in it."""
    data = state.get(BULK, keys.SHARD_PREFIX + keys.id_and_shard(round_id, shard))
    return None if data is None else decode_record(ShardRoundRecord, data)


def require_shard_round(state: StateReader, round_id: RoundId, shard: str) -> ShardRoundRecord:
    """Return where a shard stands in an attempt.

    Raises:
      RoundNotFound: the attempt was never opened, or the shard has no part in it.

    """
    require_round(state, round_id)
    record = get_shard_round(state, round_id, shard)
    if record is None:
        raise RoundNotFound(f"expected a shard with a part in round {round_id.round}, got {shard!r}")
    return record


def put_shard_round(state: StateWriter, round_id: RoundId, shard: str, record: ShardRoundRecord) -> None:
    """Write where a shard stands in an attempt."""
    state.set(BULK, keys.SHARD_PREFIX + keys.id_and_shard(round_id, shard), encode_record(record))


def get_header(record: ShardRoundRecord) -> packet_pb2.Checkpoint:
    """Return the header of a shard that has sent one."""
    return packet_pb2.Checkpoint.FromString(record.header)


def get_part(state: StateReader, round_id: RoundId, shard: str, index: int) -> bytes | None:
    """Return a part of a body, or None when it has not arrived."""
    return state.get(BULK, keys.part_key(round_id, shard, index))


def put_part(state: StateWriter, round_id: RoundId, shard: str, index: int, data: bytes) -> None:
    """Write a part of a body."""
    state.set(BULK, keys.part_key(round_id, shard, index), data)


def drop_parts(state: StateWriter, round_id: RoundId, shard: str) -> None:
    """Forget all parts of a body."""
    for key, _ in list(state.scan(BULK, keys.parts_prefix(round_id, shard))):
        state.delete(BULK, key)


def get_tally(state: StateReader, round_id: RoundId, shard: str) -> Tally:
    """Return the certificates of a verified body that is not folded yet."""
    return decode_record(
        Tally, state.get(BULK, keys.TALLY_PREFIX + keys.id_and_shard(round_id, shard)) or b""
    )


def get_aggregate(state: StateReader, round_id: RoundId, shard: str) -> bytes:
    """Return the encoded aggregate of a verified body that is not folded yet."""
    return state.get(BULK, keys.AGGREGATE_PREFIX + keys.id_and_shard(round_id, shard)) or b""


def put_contribution(
    state: StateWriter, round_id: RoundId, shard: str, tally: Tally, aggregate: bytes
) -> None:
    """Write what is kept of a verified body until it is folded; a body without updates has no aggregate."""
    place = keys.id_and_shard(round_id, shard)
    state.set(BULK, keys.TALLY_PREFIX + place, encode_record(tally))
    if aggregate:
        state.set(BULK, keys.AGGREGATE_PREFIX + place, aggregate)


def drop_contribution(state: StateWriter, round_id: RoundId, shard: str) -> None:
    """Forget what was kept of a verified body."""
    place = keys.id_and_shard(round_id, shard)
    state.delete(BULK, keys.TALLY_PREFIX + place)
    state.delete(BULK, keys.AGGREGATE_PREFIX + place)


def add_to_tail(state: StateWriter, round_id: RoundId, shard: str) -> None:
    """Note that an aggregated round may still get this shard's body."""
    state.set(BULK, keys.TAIL_PREFIX + keys.id_and_shard(round_id, shard), _PRESENT)


def remove_from_tail(state: StateWriter, round_id: RoundId, shard: str) -> None:
    """Note that a round no longer waits for this shard."""
    state.delete(BULK, keys.TAIL_PREFIX + keys.id_and_shard(round_id, shard))


def is_in_tail(state: StateReader, round_id: RoundId, shard: str) -> bool:
    """Tell whether an aggregated round may still get this shard's body."""
    return state.get(BULK, keys.TAIL_PREFIX + keys.id_and_shard(round_id, shard)) is not None


def list_tail(state: StateReader, task: int) -> list[tuple[RoundId, str]]:
    """Return what earlier rounds of a task may still get, oldest rounds first."""
    start = len(keys.tail_prefix(task))
    tail = []
    for key, _ in state.scan(BULK, keys.tail_prefix(task)):
        round_number = int.from_bytes(key[start : start + 8], "big")
        attempt = int.from_bytes(key[start + 8 : start + 12], "big")
        tail.append((RoundId(task, round_number, attempt), key[start + 13 :].decode()))
    return tail
