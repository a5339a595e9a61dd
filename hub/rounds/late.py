"""How late a checkpoint may be.

The round that a task aggregates next is `next_round`.  What answers an earlier round can be folded into it, if the
earlier round was aggregated and is not further back than the task's staleness; what answers a void attempt cannot,
because its participants were asked again.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import TYPE_CHECKING

from hub.rounds.types import RoundStatus
from hub.tasks.types import TaskStatus

if TYPE_CHECKING:
    from hub.rounds.types import RoundId
    from hub.tasks.types import TaskRecord
    from wire.gradchain.fl.v1 import round_pb2, task_pb2


@unique
class Timing(Enum):
    """What a checkpoint that is verified now is good for."""

    ON_TIME = "on time"
    LATE = "late"
    """For a later round."""

    TOO_LATE = "too late"
    """For nothing: the task does not take it into any round to come."""

    USELESS = "useless"
    """For nothing: the attempt came to nothing, or the task is over."""


def judge_timing(
    task: TaskRecord,
    spec: task_pb2.TaskSpec,
    round_id: RoundId,
    status: RoundStatus,
    info: round_pb2.RoundInfo,
    now_ns: int,
) -> Timing:
    """Tell what a checkpoint of an attempt is good for at block time `now_ns`."""
    if status is RoundStatus.OPEN:
        if now_ns <= info.deadline_ns:
            return Timing.ON_TIME
        # The end of this very block closes the round.
        is_last = round_id.round >= spec.rounds
        return Timing.LATE if spec.max_staleness and not is_last else Timing.TOO_LATE
    if status is RoundStatus.VOID or task.status is not TaskStatus.TRAINING:
        return Timing.USELESS
    staleness = task.next_round - round_id.round
    return Timing.LATE if staleness <= spec.max_staleness else Timing.TOO_LATE
