"""Reading and writing of tasks and their participants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import BULK
from hub.errors import TaskNotFound
from hub.records import decode_record, encode_record
from hub.tasks.keys import COUNT_KEY, participant_key, participants_prefix, spec_key, task_key
from hub.tasks.types import TaskRecord
from tx.codec import encode
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter

_MAX_NUMBER = 2**64 - 1


def count_tasks(state: StateReader) -> int:
    """Return how many tasks there are; they are numbered from one."""
    return int.from_bytes(state.get(BULK, COUNT_KEY) or b"", "big")


def get_task(state: StateReader, task: int) -> TaskRecord | None:
    """Return a task, or None when there is none of that number."""
    if not 0 < task <= _MAX_NUMBER:
        return None
    data = state.get(BULK, task_key(task))
    return None if data is None else decode_record(TaskRecord, data)


def require_task(state: StateReader, task: int) -> TaskRecord:
    """Return a task.

    Raises:
      TaskNotFound: there is none of that number.

    """
    record = get_task(state, task)
    if record is None:
        raise TaskNotFound(f"expected a task in 1..{count_tasks(state)}, got {task}")
    return record


def put_task(state: StateWriter, record: TaskRecord) -> None:
    """Write what has changed about a task."""
    state.set(BULK, task_key(record.number), encode_record(record))


def add_task(state: StateWriter, record: TaskRecord, spec: task_pb2.TaskSpec) -> None:
    """Write a new task, whose number is the next one."""
    state.set(BULK, COUNT_KEY, record.number.to_bytes(8, "big"))
    state.set(BULK, spec_key(record.number), encode(spec))
    put_task(state, record)


def get_spec(state: StateReader, task: int) -> task_pb2.TaskSpec:
    """Return the spec of a task that exists."""
    return task_pb2.TaskSpec.FromString(get_spec_bytes(state, task))


def get_spec_bytes(state: StateReader, task: int) -> bytes:
    """Return the canonical encoding of the spec of a task that exists."""
    return state.get(BULK, spec_key(task)) or b""


def is_participant(state: StateReader, task: int, participant: bytes) -> bool:
    """Tell whether an account is registered for a task."""
    return state.get(BULK, participant_key(task, participant)) is not None


def add_participant(state: StateWriter, task: int, participant: bytes) -> None:
    """Register an account for a task; the caller counts it in the task's record."""
    state.set(BULK, participant_key(task, participant), b"\x01")


def list_participants(state: StateReader, task: int) -> list[bytes]:
    """Return the registered participants of a task, sorted."""
    prefix = participants_prefix(task)
    return [key[len(prefix) :] for key, _ in state.scan(BULK, prefix)]
