"""What can be asked about tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.models.state import count_chunks
from hub.tasks.state import count_tasks, get_spec, list_participants, require_task
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader

MAX_TASKS: Final = 100
"""Most tasks in one answer."""


def read_task(state: StateReader, number: int) -> query_pb2.Task:
    """Return a task.

    Raises:
      TaskNotFound: there is none of that number.

    """
    task = require_task(state, number)
    return query_pb2.Task(
        task=number,
        creator=task.creator,
        spec=get_spec(state, number),
        spec_digest=task.spec_digest,
        status=query_pb2.TaskStatus.ValueType(task.status),
        model_root=task.model.root,
        rounds_done=task.rounds_done,
        round=task.round,
        attempt=task.attempt,
        escrow=task.escrow,
        participants=task.participants,
        chunks_uploaded=count_chunks(state, task.model),
    )


def read_tasks(state: StateReader, start: int, limit: int) -> query_pb2.ListTasksResponse:
    """Return tasks by number, from `start` on; a limit of zero means as many as one answer holds."""
    first = max(1, start)
    last = min(count_tasks(state), first + min(limit or MAX_TASKS, MAX_TASKS) - 1)
    return query_pb2.ListTasksResponse(tasks=[read_task(state, number) for number in range(first, last + 1)])


def read_participants(state: StateReader, number: int) -> query_pb2.ListParticipantsResponse:
    """Return the registered participants of a task, sorted.

    Raises:
      TaskNotFound: there is none of that number.

    """
    require_task(state, number)
    return query_pb2.ListParticipantsResponse(participants=list_participants(state, number))
