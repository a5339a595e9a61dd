"""Messages of tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from abci_app.definition import MessageHandler
from hub.accounts.state import check_balance, move_to_escrow
from hub.checks import check_address, check_hash
from hub.errors import AlreadyRegistered, InvalidField, NotCreator, TaskClosed, TaskFull, TaskNotUploading
from hub.models.keys import model_address
from hub.models.state import is_complete, reference_model, release_model
from hub.params import get_params
from hub.schedule import wake
from hub.tasks.events import emit_participant_registered, emit_task_created
from hub.tasks.lifecycle import begin_registering, end_task
from hub.tasks.state import (
    add_participant,
    add_task,
    count_tasks,
    get_spec,
    is_participant,
    put_task,
    require_task,
)
from hub.tasks.types import TaskRecord, TaskStatus
from tx.specs import check_spec, spec_digest
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.context import TxContext
    from abci_app.state import StateWriter
    from hub.params import HubParams
    from wire.gradchain.fl.v1 import task_pb2


def list_creators(message: tx_pb2.MsgCreateTask) -> tuple[bytes, ...]:
    """Return the creator."""
    return (message.creator,)


def check_create_task(message: tx_pb2.MsgCreateTask) -> None:
    """Check the fields of a new task.

    Raises:
      InvalidField: an address or root has another size, or a round could never have enough shards.
      InvalidSpec: a field of the spec is out of range.

    """
    check_address("creator", message.creator)
    check_hash("model_root", message.model_root)
    check_spec(message.spec)
    sampled = message.spec.participants_per_round
    if 0 < sampled < message.spec.min_shards:
        raise InvalidField(
            f"expected at least min_shards = {message.spec.min_shards} as participants_per_round, got {sampled}"
        )


def handle_create_task(
    ctx: TxContext, state: StateWriter, message: tx_pb2.MsgCreateTask
) -> tx_pb2.MsgCreateTaskResult:
    """Create a task, take its budget out of the creator's account, and return its number.

    If another task has brought the same model already, nothing needs to be uploaded.

    Raises:
      InvalidField: the task asks for more shards or participants than the hub can have, or for rounds too short.
      InsufficientBalance: the creator does not hold the budget.

    """
    spec = message.spec
    _check_within_params(spec, get_params(state))
    check_balance(state, message.creator, spec.budget)
    task = TaskRecord(
        number=count_tasks(state) + 1,
        creator=message.creator,
        spec_digest=spec_digest(spec),
        status=TaskStatus.UPLOADING,
        model=model_address(message.model_root, spec.parameters),
        scale=spec.start_scale,
        rounds_done=0,
        round=0,
        attempt=0,
        is_open=False,
        next_round=1,
        next_attempt=0,
        escrow=spec.budget,
        reserved=0,
        participants=0,
    )
    move_to_escrow(state, message.creator, spec.budget)
    reference_model(state, task.model)
    emit_task_created(ctx, task)
    if is_complete(state, task.model):
        task = begin_registering(ctx, state, task)
    add_task(state, task, spec)
    return tx_pb2.MsgCreateTaskResult(task=task.number)


def _check_within_params(spec: task_pb2.TaskSpec, params: HubParams) -> None:
    if spec.min_shards > params.max_shards:
        raise InvalidField(f"expected at most {params.max_shards} as min_shards, got {spec.min_shards}")
    if spec.min_participants > params.max_participants:
        raise InvalidField(
            f"expected at most {params.max_participants} as min_participants, got {spec.min_participants}"
        )
    if spec.round_duration_ns < params.min_round_duration_ns:
        raise InvalidField(
            f"expected at least {params.min_round_duration_ns} as round_duration_ns, got {spec.round_duration_ns}"
        )


def list_cancelling_creators(message: tx_pb2.MsgCancelTask) -> tuple[bytes, ...]:
    """Return the creator."""
    return (message.creator,)


def check_cancel_task(message: tx_pb2.MsgCancelTask) -> None:
    """Check the fields of a cancellation.

    Raises:
      InvalidField: that is no address.

    """
    check_address("creator", message.creator)


def handle_cancel_task(ctx: TxContext, state: StateWriter, message: tx_pb2.MsgCancelTask) -> None:
    """End a task whose model was never uploaded: the budget goes back, and what there is of the model goes.

    Raises:
      TaskNotFound, NotCreator, TaskNotUploading: as their names say.

    """
    task = require_task(state, message.task)
    if message.creator != task.creator:
        raise NotCreator(f"expected the creator of task {task.number}, got another account")
    if task.status is not TaskStatus.UPLOADING:
        raise TaskNotUploading(
            f"expected a task that waits for its model, got one that is {task.status.name.lower()}"
        )
    release_model(state, task.model)
    put_task(state, end_task(ctx, state, task, TaskStatus.CANCELLED))


def list_registering_participants(message: tx_pb2.MsgRegisterParticipant) -> tuple[bytes, ...]:
    """Return the participant."""
    return (message.participant,)


def check_register_participant(message: tx_pb2.MsgRegisterParticipant) -> None:
    """Check the fields of a registration.

    Raises:
      InvalidField: that is no address.

    """
    check_address("participant", message.participant)


def handle_register_participant(
    ctx: TxContext, state: StateWriter, message: tx_pb2.MsgRegisterParticipant
) -> None:
    """Make an account eligible for all rounds that open from now on.

    Raises:
      TaskNotFound, TaskClosed, AlreadyRegistered, TaskFull: as their names say.

    """
    task = require_task(state, message.task)
    if not task.is_running:
        raise TaskClosed(
            f"expected a task that takes participants, got one that is {task.status.name.lower()}"
        )
    if is_participant(state, task.number, message.participant):
        raise AlreadyRegistered(
            f"expected an account that is not registered for task {task.number}, got one that is"
        )
    limit = get_params(state).max_participants
    if task.participants >= limit:
        raise TaskFull(
            f"expected fewer than {limit} participants in task {task.number}, got {task.participants}"
        )
    add_participant(state, task.number, message.participant)
    task = replace(task, participants=task.participants + 1)
    put_task(state, task)
    emit_participant_registered(ctx, task.number, message.participant)
    if (
        task.status is TaskStatus.REGISTERING
        and task.participants >= get_spec(state, task.number).min_participants
    ):
        wake(state, task.number)


CREATE_TASK = MessageHandler(tx_pb2.MsgCreateTask, list_creators, check_create_task, handle_create_task)
CANCEL_TASK = MessageHandler(
    tx_pb2.MsgCancelTask, list_cancelling_creators, check_cancel_task, handle_cancel_task
)
REGISTER_PARTICIPANT = MessageHandler(
    tx_pb2.MsgRegisterParticipant,
    list_registering_participants,
    check_register_participant,
    handle_register_participant,
)
