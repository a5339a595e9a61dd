"""Enumerations of the protocol as words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query

if TYPE_CHECKING:
    from collections.abc import Sequence


def task_status(value: int) -> str:
    """Return the word for a task's status."""
    return _word(hub_query.TaskStatus.items(), value, "TASK_STATUS_")


def round_status(value: int) -> str:
    """Return the word for the status of a round on the hub."""
    return _word(hub_query.RoundStatus.items(), value, "ROUND_STATUS_")


def shard_round_status(value: int) -> str:
    """Return the word for a shard's part in a round."""
    return _word(hub_query.ShardRoundStatus.items(), value, "SHARD_ROUND_STATUS_")


def round_status_on_shard(value: int) -> str:
    """Return the word for the status of a round on a shard."""
    return _word(shard_query.RoundStatus.items(), value, "ROUND_STATUS_")


def _word(names: Sequence[tuple[str, int]], value: int, prefix: str) -> str:
    for name, number in names:
        if number == value:
            return name.removeprefix(prefix).lower()
    # A newer node may know more.
    return f"unknown-{value}"
