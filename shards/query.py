"""What the gRPC service tells of a round: its opening, its progress, and its checkpoint, from all modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.checkpoints.state import get_delivery, get_header
from shards.errors import UnknownRound
from shards.rounds.state import get_opened, list_newest, require_progress
from shards.rounds.types import RoundStatus
from wire.gradchain.shard.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader
    from shards.rounds.types import RoundId

DEFAULT_ROUNDS: Final = 20
MAX_ROUNDS: Final = 100
"""Rounds in one answer."""

_WIRE_STATUS: Final = {
    RoundStatus.OPEN: query_pb2.ROUND_STATUS_OPEN,
    # Whether the packet is on its way yet matters to nobody who trains.
    RoundStatus.CLOSED: query_pb2.ROUND_STATUS_CHECKPOINTED,
    RoundStatus.CHECKPOINTED: query_pb2.ROUND_STATUS_CHECKPOINTED,
    RoundStatus.PRUNED: query_pb2.ROUND_STATUS_PRUNED,
}


def describe_round(state: StateReader, round_id: RoundId) -> query_pb2.Round:
    """Return what the shard knows of a round.

    Raises:
      UnknownRound: the hub has not opened it here.

    """
    opened = get_opened(state, round_id)
    if opened is None:
        raise UnknownRound(f"expected a round that the hub opened here, got {round_id}")
    progress = require_progress(state, round_id)
    delivery = get_delivery(state, round_id)
    return query_pb2.Round(
        opened=opened,
        status=_WIRE_STATUS[progress.status],
        updates=progress.accepted,
        checkpoint=get_header(state, round_id),
        checkpoint_height=0 if delivery is None else delivery.height,
    )


def describe_rounds(state: StateReader, task: int, limit: int) -> list[query_pb2.Round]:
    """Return a task's rounds, newest first; a limit of 0 asks for the default number."""
    count = min(limit or DEFAULT_ROUNDS, MAX_ROUNDS)
    return [describe_round(state, round_id) for round_id in list_newest(state, task, count)]
