"""Events of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tx.keys import format_address

if TYPE_CHECKING:
    from hub.events import Emitter
    from hub.tasks.types import TaskRecord


def emit_task_created(ctx: Emitter, task: TaskRecord) -> None:
    """Tell that a task exists and waits for its model."""
    ctx.emit(
        "task_created",
        task=str(task.number),
        creator=format_address(task.creator),
        spec_digest=task.spec_digest.hex(),
        model_root=task.model.root.hex(),
    )


def emit_participant_registered(ctx: Emitter, task: int, participant: bytes) -> None:
    """Tell that an account takes part from the next round on."""
    ctx.emit("participant_registered", task=str(task), participant=format_address(participant))


def emit_task_ended(ctx: Emitter, task: TaskRecord, refund: int) -> None:
    """Tell that a task is complete, has failed or was cancelled, and what went back to its creator."""
    ctx.emit("task_ended", task=str(task.number), status=task.status.name.lower(), refund=str(refund))
