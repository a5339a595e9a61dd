"""Keys of tasks in the bulk store.

| key | value |
|---|---|
| `tasks/count` | number of tasks, which is also the newest task's number |
| `tasks/spec/` task | canonical encoding of the spec |
| `tasks/task/` task | what changes about the task |
| `tasks/participant/` task address | 1 for each registered participant |

Numbers take eight bytes, big-endian; tasks count from one.
"""

from __future__ import annotations

from typing import Final

COUNT_KEY: Final = b"tasks/count"
SPEC_PREFIX: Final = b"tasks/spec/"
TASK_PREFIX: Final = b"tasks/task/"
PARTICIPANT_PREFIX: Final = b"tasks/participant/"


def spec_key(task: int) -> bytes:
    """Return the key of a task's spec."""
    return SPEC_PREFIX + task.to_bytes(8, "big")


def task_key(task: int) -> bytes:
    """Return the key of a task's record."""
    return TASK_PREFIX + task.to_bytes(8, "big")


def participants_prefix(task: int) -> bytes:
    """Return the prefix of all participants of a task."""
    return PARTICIPANT_PREFIX + task.to_bytes(8, "big")


def participant_key(task: int, participant: bytes) -> bytes:
    """Return the key of a participant's registration."""
    return participants_prefix(task) + participant
