"""The two turning points of a task that do not depend on its rounds: it has its model, and it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.accounts.state import release_escrow
from hub.models.events import emit_model_complete
from hub.models.state import record_newest_model
from hub.params import get_params
from hub.tasks.events import emit_task_ended
from hub.tasks.types import TaskRecord, TaskStatus

if TYPE_CHECKING:
    from abci_app.state import StateWriter
    from hub.events import Emitter


def begin_registering(ctx: Emitter, state: StateWriter, task: TaskRecord) -> TaskRecord:
    """Return the task after its initial model has become complete: it takes participants."""
    record_newest_model(state, task.number, 0, task.model, get_params(state).keep_models)
    emit_model_complete(ctx, task.number, task.model.root)
    return replace(task, status=TaskStatus.REGISTERING)


def end_task(ctx: Emitter, state: StateWriter, task: TaskRecord, status: TaskStatus) -> TaskRecord:
    """Return the task after its end.  What no aggregated round has a claim to goes back to the creator.

    Of a task that is complete, every round has claimed its share; of one that has failed, some have not; of one that
    was cancelled, none has.
    """
    refund = task.escrow - task.reserved
    release_escrow(state, task.creator, refund)
    ended = replace(task, status=status, is_open=False, escrow=task.reserved)
    emit_task_ended(ctx, ended, refund)
    return ended
