"""`gradchain task`: create tasks and look at them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cli.hubclient import check_uploadable
from cli.names import task_status
from cli.options import with_key, with_network
from cli.output import show
from cli.params import TASK
from cli.taskfile import read_spec
from cli.weights import describe_weights, draw_weights, read_weights
from participant.tasks import (
    cancel_task,
    create_task,
    encode_initial,
    get_task,
    list_tasks,
    upload_model,
    wait_until_open,
)
from participant.tensors import state_to_vector
from tx.errors import AppError
from tx.keys import format_address

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cli.context import Session
    from wire.gradchain.fl.v1 import task_pb2
    from wire.gradchain.hub.v1 import query_pb2

MAX_SEED: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor of a model."""

    tensor: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TrainingView:
    """Hints for participants."""

    optimiser: str
    learning_rate: str
    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task, as a node describes it."""

    task: int
    name: str
    description: str
    licence: str
    status: str
    creator: str
    rounds_done: int
    rounds: int
    round: int
    """The newest round; 0 before the first."""
    attempt: int
    participants: int
    min_participants: int
    participants_per_round: int
    min_shards: int
    round_duration_ns: int
    budget: int
    escrow: int
    rule: str
    clip_norm: int | None
    start_scale: int
    max_staleness: int
    max_attempts: int
    parameters: int
    chunks_uploaded: int
    model_root: bytes
    spec_digest: bytes
    verified: bool
    """Always the word of the node that answered; `model verify` and `round show` check against proofs."""
    training: TrainingView | None
    tensors: tuple[TensorRow, ...]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in a list."""

    task: int
    name: str
    status: str
    rounds_done: int
    rounds: int
    participants: int
    parameters: int
    escrow: int


@dataclass(frozen=True, slots=True)
class TaskList:
    """All tasks, as a node describes them."""

    tasks: tuple[TaskRow, ...]


@dataclass(frozen=True, slots=True)
class CreatedView:
    """A task that takes participants."""

    task: int
    status: str
    creator: str
    spec_digest: bytes
    model_root: bytes
    model_bytes: int
    budget: int


@dataclass(frozen=True, slots=True)
class CancelledView:
    """A task that was taken back."""

    task: int
    status: str
    creator: str
    refund: int
    """What went back to the creator."""


def describe_task(task: query_pb2.Task) -> TaskView:
    """Return the view of a task."""
    spec = task.spec
    clips = spec.rule.WhichOneof("kind") == "norm_clip"
    return TaskView(
        task=task.task,
        name=spec.name,
        description=spec.description,
        licence=spec.licence,
        status=task_status(task.status),
        creator=format_address(task.creator),
        rounds_done=task.rounds_done,
        rounds=spec.rounds,
        round=task.round,
        attempt=task.attempt,
        participants=task.participants,
        min_participants=spec.min_participants,
        participants_per_round=spec.participants_per_round,
        min_shards=spec.min_shards,
        round_duration_ns=spec.round_duration_ns,
        budget=spec.budget,
        escrow=task.escrow,
        rule=spec.rule.WhichOneof("kind") or "unknown",
        clip_norm=spec.rule.norm_clip.tau if clips else None,
        start_scale=spec.start_scale,
        max_staleness=spec.max_staleness,
        max_attempts=spec.max_attempts,
        parameters=spec.parameters,
        chunks_uploaded=task.chunks_uploaded,
        model_root=task.model_root,
        spec_digest=task.spec_digest,
        verified=False,
        training=_describe_training(spec.training) if spec.HasField("training") else None,
        tensors=tuple(TensorRow(tensor.name, tuple(tensor.shape)) for tensor in spec.tensors),
    )


def _describe_training(training: task_pb2.LocalTraining) -> TrainingView:
    return TrainingView(
        training.optimiser, training.learning_rate, training.epochs, training.batch_size, training.seed
    )


@click.group("task", no_args_is_help=True)
def task_group() -> None:
    """Create and look at tasks."""


_FILE = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_MODEL = click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Initial weights: a state_dict (.pt) or arrays by name (.npz).",
)
_SEED = click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    metavar="N",
    help="Draw the initial weights from this seed instead (0 if neither is given): tensors with several axes uniform "
    "within one over the root of their inputs, the others zero.",
)


@task_group.command("create")
@_FILE
@_MODEL
@_SEED
@with_key
def create_command(session: Session, file: Path, model: Path | None, seed: int | None) -> None:
    """Create a task from a TOML FILE and upload its initial model.

    The budget leaves the account of --key at once. The command ends when the task takes participants.
    docs/examples/task.toml explains the file.
    """
    spec, vector = load_task(file, model, seed)
    encoded, root = encode_initial(vector)
    key, hub, chain_id = session.key(), session.hub(), session.hub_chain_id()
    number = create_task(hub, chain_id, key, spec, root)
    try:
        # A model that another task has brought before is there already; sending it again does no harm.
        upload_model(hub, chain_id, key, number, encoded)
        task = wait_until_open(hub, number)
    except (AppError, KeyboardInterrupt):
        click.echo(
            f"note: task {number} exists and waits for its model: `gradchain task upload` sends the rest, "
            "`gradchain task cancel` takes it back",
            err=True,
        )
        raise
    show(_describe_created(task, encoded), as_json=session.as_json)


@task_group.command("upload")
@_FILE
@click.option("--task", "number", type=TASK, required=True, metavar="N", help="Number of the task.")
@_MODEL
@_SEED
@with_key
def upload_command(session: Session, file: Path, number: int, model: Path | None, seed: int | None) -> None:
    """Upload the initial model of a task whose creation was interrupted.

    FILE, --model and --seed are those that the task was created with.
    """
    _, vector = load_task(file, model, seed)
    encoded, root = encode_initial(vector)
    hub = session.hub()
    check_uploadable(get_task(hub, number), root)
    upload_model(hub, session.hub_chain_id(), session.key(), number, encoded)
    show(_describe_created(wait_until_open(hub, number), encoded), as_json=session.as_json)


@task_group.command("cancel")
@click.argument("task", type=TASK)
@with_key
def cancel_command(session: Session, task: int) -> None:
    """Take back a task of --key that still waits for its model.

    Its budget returns to the account of --key. A task that takes participants runs to its end instead.
    """
    hub = session.hub()
    cancel_task(hub, session.hub_chain_id(), session.key(), task)
    found = get_task(hub, task)
    view = CancelledView(task, task_status(found.status), format_address(found.creator), found.spec.budget)
    show(view, as_json=session.as_json)


def load_task(
    file: Path, model: Path | None, seed: int | None
) -> tuple[task_pb2.TaskSpec, NDArray[np.float32]]:
    """Return the spec of a task file, and the initial model as a vector of shape (d,).

    Raises:
      UsageError: both a model and a seed are given.
      SpecFileInvalid, InvalidSpec, WeightsUnreadable, NotFiniteError: as their names say.

    """
    if model is not None and seed is not None:
        raise click.UsageError("expected --model or --seed, got both", click.get_current_context())
    if model is None:
        spec = read_spec(file)
        return spec, draw_weights(spec.tensors, seed or 0)
    arrays = read_weights(model)
    spec = read_spec(file, describe_weights(arrays))
    return spec, state_to_vector(arrays, spec.tensors)


def _describe_created(task: query_pb2.Task, encoded: bytes) -> CreatedView:
    return CreatedView(
        task=task.task,
        status=task_status(task.status),
        creator=format_address(task.creator),
        spec_digest=task.spec_digest,
        model_root=task.model_root,
        model_bytes=len(encoded),
        budget=task.spec.budget,
    )


@task_group.command("list")
@with_network
def list_command(session: Session) -> None:
    """List all tasks, as a hub node describes them."""
    rows = tuple(
        TaskRow(
            task=task.task,
            name=task.spec.name,
            status=task_status(task.status),
            rounds_done=task.rounds_done,
            rounds=task.spec.rounds,
            participants=task.participants,
            parameters=task.spec.parameters,
            escrow=task.escrow,
        )
        for task in list_tasks(session.hub())
    )
    show(TaskList(rows), as_json=session.as_json)


@task_group.command("show")
@click.argument("task", type=TASK)
@with_network
def show_command(session: Session, task: int) -> None:
    """Show a task, as a hub node describes it."""
    show(describe_task(get_task(session.hub(), task)), as_json=session.as_json)
