"""Which tasks the next blocks have to look at.

A block must not walk over all tasks.  A task is looked at when something has happened to it (`wake`), when a point in
time has come (`wake_at`), or when there are shards that were not there before (`wait_for_shards`).  What is due joins
one queue, of which each block takes a bounded number from the front: no task can keep another one from its turn.
Looking at a task for which there is nothing to do changes nothing, so waking it once too often does no harm.

| key | value |
|---|---|
| `schedule/queue/` number | task; numbers rise, so the queue is in order of arrival |
| `schedule/queued/` task | 1 while the task stands in the queue |
| `schedule/next` | next number of the queue |
| `schedule/timer/` time task | 1: look at the task when block time has reached that time |
| `schedule/waiting/` epoch task | 1: look at the task when the epoch is over |
| `schedule/waits/` task | the epoch in which the task began to wait |
| `schedule/epoch` | rises when a shard becomes active |

All numbers take eight bytes, big-endian.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from abci_app.state import BULK

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter

QUEUE_PREFIX: Final = b"schedule/queue/"
QUEUED_PREFIX: Final = b"schedule/queued/"
NEXT_KEY: Final = b"schedule/next"
TIMER_PREFIX: Final = b"schedule/timer/"
WAITING_PREFIX: Final = b"schedule/waiting/"
WAITS_PREFIX: Final = b"schedule/waits/"
EPOCH_KEY: Final = b"schedule/epoch"

_PRESENT: Final = b"\x01"


def wake(state: StateWriter, task: int) -> None:
    """Put a task at the end of the queue, unless it stands there already."""
    mark = QUEUED_PREFIX + _number(task)
    if state.get(BULK, mark) is not None:
        return
    place = _get_number(state, NEXT_KEY)
    state.set(BULK, mark, _PRESENT)
    state.set(BULK, QUEUE_PREFIX + _number(place), _number(task))
    state.set(BULK, NEXT_KEY, _number(place + 1))


def wake_at(state: StateWriter, task: int, time_ns: int) -> None:
    """Look at a task in the first block whose time is not before `time_ns`."""
    state.set(BULK, _timer_key(task, time_ns), _PRESENT)


def cancel_wake_at(state: StateWriter, task: int, time_ns: int) -> None:
    """Forget what `wake_at` was asked for."""
    state.delete(BULK, _timer_key(task, time_ns))


def wait_for_shards(state: StateWriter, task: int) -> None:
    """Look at a task when a shard has become active."""
    stop_waiting(state, task)
    epoch = _get_number(state, EPOCH_KEY)
    state.set(BULK, WAITING_PREFIX + _number(epoch) + _number(task), _PRESENT)
    state.set(BULK, WAITS_PREFIX + _number(task), _number(epoch))


def stop_waiting(state: StateWriter, task: int) -> None:
    """Forget what `wait_for_shards` was asked for."""
    epoch = state.get(BULK, WAITS_PREFIX + _number(task))
    if epoch is not None:
        state.delete(BULK, WAITING_PREFIX + epoch + _number(task))
        state.delete(BULK, WAITS_PREFIX + _number(task))


def announce_shard(state: StateWriter) -> None:
    """Let all tasks that wait for shards be looked at: one has become active."""
    state.set(BULK, EPOCH_KEY, _number(_get_number(state, EPOCH_KEY) + 1))


def take_due_tasks(state: StateWriter, now_ns: int, limit: int) -> list[int]:
    """Return the tasks to look at in this block, at most `limit`, and take them out of the queue."""
    _queue_timers(state, now_ns, limit)
    _queue_waiting(state, limit)
    due: list[int] = []
    for key, value in list(islice(state.scan(BULK, QUEUE_PREFIX), limit)):
        state.delete(BULK, key)
        state.delete(BULK, QUEUED_PREFIX + value)
        due.append(int.from_bytes(value, "big"))
    return due


def _queue_timers(state: StateWriter, now_ns: int, limit: int) -> None:
    start = len(TIMER_PREFIX)
    for key, _ in list(islice(state.scan(BULK, TIMER_PREFIX), limit)):
        if int.from_bytes(key[start : start + 8], "big") > now_ns:
            return
        state.delete(BULK, key)
        wake(state, int.from_bytes(key[start + 8 :], "big"))


def _queue_waiting(state: StateWriter, limit: int) -> None:
    start = len(WAITING_PREFIX)
    epoch = _get_number(state, EPOCH_KEY)
    for key, _ in list(islice(state.scan(BULK, WAITING_PREFIX), limit)):
        if int.from_bytes(key[start : start + 8], "big") == epoch:
            return
        task = int.from_bytes(key[start + 8 :], "big")
        stop_waiting(state, task)
        wake(state, task)


def _timer_key(task: int, time_ns: int) -> bytes:
    return TIMER_PREFIX + _number(time_ns) + _number(task)


def _get_number(state: StateReader, key: bytes) -> int:
    return int.from_bytes(state.get(BULK, key) or b"", "big")


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")
