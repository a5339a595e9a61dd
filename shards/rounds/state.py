"""Reading and writing rounds."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from abci_app.state import BULK
from shards.errors import UnknownRound
from shards.rounds.keys import (
    LIVE_PREFIX,
    PRESENT,
    RETIRE_PREFIX,
    live_key,
    newest_key,
    newest_prefix,
    opened_key,
    parse_live_key,
    parse_newest_key,
    parse_retire_key,
    progress_key,
    retire_key,
)
from shards.rounds.types import Progress, Round, RoundStatus
from tx.codec import encode
from wire.gradchain.fl.v1 import packet_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from shards.rounds.types import RoundId


def put_round(
    state: StateWriter, opened: packet_pb2.RoundOpened, round_id: RoundId, retire_at_ns: int
) -> None:
    """Write a round that opens."""
    state.set(BULK, opened_key(round_id), encode(opened))
    state.set(BULK, newest_key(round_id), PRESENT)
    state.set(BULK, live_key(round_id), PRESENT)
    state.set(BULK, retire_key(retire_at_ns, round_id), PRESENT)
    put_progress(state, round_id, Progress())


def get_opened(state: StateReader, round_id: RoundId) -> packet_pb2.RoundOpened | None:
    """Return the packet that opened a round, or None."""
    encoded = state.get(BULK, opened_key(round_id))
    return None if encoded is None else packet_pb2.RoundOpened.FromString(encoded)


def get_round(state: StateReader, round_id: RoundId) -> Round | None:
    """Return a round, or None."""
    opened = get_opened(state, round_id)
    return None if opened is None else Round.from_wire(opened)


def require_round(state: StateReader, round_id: RoundId) -> Round:
    """Return a round.

    Raises:
      UnknownRound: the hub has not opened it here.

    """
    found = get_round(state, round_id)
    if found is None:
        raise UnknownRound(f"expected a round that the hub opened here, got {round_id}")
    return found


def require_progress(state: StateReader, round_id: RoundId) -> Progress:
    """Return how far a round has come.

    Raises:
      UnknownRound: the hub has not opened it here.

    """
    encoded = state.get(BULK, progress_key(round_id))
    if encoded is None:
        raise UnknownRound(f"expected a round that the hub opened here, got {round_id}")
    return Progress.decode(encoded)


def put_progress(state: StateWriter, round_id: RoundId, progress: Progress) -> None:
    """Write how far a round has come."""
    state.set(BULK, progress_key(round_id), progress.encode())


def set_status(state: StateWriter, round_id: RoundId, status: RoundStatus) -> None:
    """Move a round on.  From `CHECKPOINTED` on, blocks no longer look at it."""
    put_progress(state, round_id, replace(require_progress(state, round_id), status=status))
    if status not in {RoundStatus.OPEN, RoundStatus.CLOSED}:
        state.delete(BULK, live_key(round_id))


def list_live(state: StateReader) -> list[RoundId]:
    """Return the rounds that blocks have to look at, ascending."""
    return [parse_live_key(key) for key, _ in state.scan(BULK, LIVE_PREFIX)]


def list_newest(state: StateReader, task: int, limit: int) -> list[RoundId]:
    """Return up to `limit` rounds of a task, newest first."""
    return [parse_newest_key(key) for key, _ in islice(state.scan(BULK, newest_prefix(task)), limit)]


def list_due(state: StateReader, now_ns: int) -> list[RoundId]:
    """Return the rounds whose payloads are kept no longer, ascending by when that was."""
    due = []
    for key, _ in state.scan(BULK, RETIRE_PREFIX):
        time_ns, round_id = parse_retire_key(key)
        if time_ns > now_ns:
            break
        due.append(round_id)
    return due
