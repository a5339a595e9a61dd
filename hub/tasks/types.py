"""Records of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hub.models.keys import ModelId  # noqa: TC001 - the encoding of the record asks for it


class TaskStatus(IntEnum):
    """Where a task stands; the numbers are those of the public protocol."""

    UPLOADING = 1
    """Waiting for the chunks of the initial model."""

    REGISTERING = 2
    """Waiting for participants and shards."""

    TRAINING = 3
    """The first round was opened."""

    COMPLETE = 4
    """All rounds are aggregated."""

    FAILED = 5
    """Given up after too many attempts of one round."""

    CANCELLED = 6
    """Taken back by its creator while it waited for its model."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What changes about a task."""

    number: int
    creator: bytes
    spec_digest: bytes
    status: TaskStatus
    model: ModelId
    """The newest model; while uploading, the initial one."""

    scale: int
    """k of the next round."""

    rounds_done: int
    """Aggregated rounds."""

    round: int
    """The newest round that was opened; 0 before the first."""

    attempt: int
    """Its attempt, counted from 0."""

    is_open: bool
    """Whether that attempt still runs."""

    next_round: int
    """The round that is aggregated next: the open one, or the one to be opened."""

    next_attempt: int
    """The attempt of that round which is open, or to be opened."""

    escrow: int
    """What is left of the budget, in base units."""

    reserved: int
    """The part of the escrow that aggregated rounds will pay out when they are settled."""

    participants: int
    """Registered participants."""

    @property
    def is_running(self) -> bool:
        """Whether rounds may still be opened."""
        return self.status in {TaskStatus.REGISTERING, TaskStatus.TRAINING}
