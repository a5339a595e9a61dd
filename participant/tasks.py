"""Tasks on the hub: looking at them, and creating one with its spec and the chunks of its first model."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from abci_app.errors import CommitTimeout
from aggregation.merkle import merkle_path
from aggregation.model import encode_model, model_chunks, model_root, to_fixed
from participant.errors import UnverifiedData
from participant.tensors import describe_tensors
from tx.specs import check_spec
from wire.gradchain.fl.v1 import task_pb2
from wire.gradchain.hub.v1 import query_pb2, tx_pb2
from wire.gradchain.tx.v1.tx_pb2 import MessageResults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from abci_app.client import ChainConnection
    from tx.keys import SigningKey

POLL_S: Final = 0.05
CHUNKS_A_TX: Final = 40
"""Chunks of 64 KiB with their paths, well below the largest transaction."""

PAGE: Final = 100
SECOND_NS: Final = 1_000_000_000

ENDED: Final = (
    query_pb2.TASK_STATUS_COMPLETE,
    query_pb2.TASK_STATUS_FAILED,
    query_pb2.TASK_STATUS_CANCELLED,
)
"""Statuses of tasks that open no more rounds."""

START_SCALE: Final = 10
MAX_STALENESS: Final = 2
MAX_ATTEMPTS: Final = 3
"""What a spec has where nothing is said, as in task files."""


def build_spec(
    module: nn.Module,
    *,
    name: str,
    rounds: int,
    budget: int,
    min_participants: int,
    round_seconds: int = 600,
    min_shards: int = 1,
    clip_norms: bool = False,
    description: str = "",
    licence: str = "",
    training: task_pb2.LocalTraining | None = None,
) -> task_pb2.TaskSpec:
    """Return the spec of a task that trains a module; docs/examples/task.toml explains the values.

    A round ends as soon as all who are assigned have delivered; `round_seconds` is its deadline.  `clip_norms` scales
    updates down to the lower median of their norms; otherwise all weigh the same.  `training` are hints that nobody
    can check.

    Raises:
      InvalidSpec: a value is out of range, or contradicts another.

    """
    tensors = describe_tensors(module)
    rule = (
        task_pb2.Rule(norm_clip=task_pb2.RuleNormClip())
        if clip_norms
        else task_pb2.Rule(mean=task_pb2.RuleMean())
    )
    spec = task_pb2.TaskSpec(
        name=name,
        description=description,
        licence=licence,
        tensors=tensors,
        parameters=sum(math.prod(tensor.shape) for tensor in tensors),
        rule=rule,
        rounds=rounds,
        round_duration_ns=round_seconds * SECOND_NS,
        min_shards=min_shards,
        min_participants=min_participants,
        budget=budget,
        start_scale=START_SCALE,
        max_staleness=MAX_STALENESS,
        max_attempts=MAX_ATTEMPTS,
        training=training,
    )
    check_spec(spec)
    return spec


def encode_initial(vector: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Return the bytes of an initial model of shape (d,), and their root.

    Raises:
      NotFiniteError: a value is not finite.

    """
    encoded = encode_model(to_fixed(vector))
    return encoded, model_root(encoded)


def get_task(connection: ChainConnection, task: int) -> query_pb2.Task:
    """Return a task, as a node describes it.

    Raises:
      RemoteError: there is none of that number.
      NodeUnavailable: no node answered.

    """
    request = query_pb2.GetTaskRequest(task=task)
    return connection.hub(lambda stub: stub.GetTask(request, timeout=connection.timeout_s)).task


def list_tasks(connection: ChainConnection) -> Iterator[query_pb2.Task]:
    """Yield all tasks in the order of their numbers, as a node describes them."""
    start = 1
    while True:
        page = _list_page(connection, query_pb2.ListTasksRequest(start=start, limit=PAGE))
        yield from page
        # A node that repeats itself must not keep us here for ever.
        if not page or page[-1].task < start:
            return
        start = page[-1].task + 1


def _list_page(connection: ChainConnection, request: query_pb2.ListTasksRequest) -> Sequence[query_pb2.Task]:
    return connection.hub(lambda stub: stub.ListTasks(request, timeout=connection.timeout_s)).tasks


def create_task(
    connection: ChainConnection, chain_id: str, key: SigningKey, spec: task_pb2.TaskSpec, root: bytes
) -> int:
    """Create a task and return its number.

    Raises:
      RemoteError: the hub refused the task.
      NodeUnavailable: no node answered.
      UnverifiedData: the node says that the task exists, but not its number.

    """
    message = tx_pb2.MsgCreateTask(creator=key.public_key, spec=spec, model_root=root)
    outcome = connection.send(chain_id, [message], [key])
    try:
        values = MessageResults.FromString(outcome.data).values
        number = tx_pb2.MsgCreateTaskResult.FromString(values[0] if values else b"").task
    except DecodeError:
        number = 0
    if not number:
        raise UnverifiedData(f"expected the number of the new task, got the data {outcome.data[:64].hex()!r}")
    return number


def cancel_task(connection: ChainConnection, chain_id: str, key: SigningKey, task: int) -> None:
    """Take back a task of the key that still waits for its model; its budget returns.

    Raises:
      RemoteError: the hub refused.
      NodeUnavailable: no node answered.

    """
    message = tx_pb2.MsgCancelTask(creator=key.public_key, task=task)
    connection.send(chain_id, [message], [key])


def upload_model(
    connection: ChainConnection, chain_id: str, key: SigningKey, task: int, encoded: bytes
) -> None:
    """Send the chunks of a task's initial model; chunks that are there already do no harm.

    Raises:
      RemoteError: the hub refused a chunk.
      NodeUnavailable: no node answered.

    """
    chunks = model_chunks(encoded)
    for start in range(0, len(chunks), CHUNKS_A_TX):
        parts = [
            tx_pb2.DataPart(index=index, data=chunks[index], path=merkle_path(chunks, index))
            for index in range(start, min(start + CHUNKS_A_TX, len(chunks)))
        ]
        message = tx_pb2.MsgUploadModel(creator=key.public_key, task=task, parts=parts)
        connection.send(chain_id, [message], [key])


def wait_until_open(connection: ChainConnection, task: int) -> query_pb2.Task:
    """Wait until the hub has the whole initial model of a task, so that participants can register; return the task.

    Raises:
      NodeUnavailable: no node answered.
      CommitTimeout: it takes too long.

    """
    deadline = time.monotonic() + connection.timeout_s
    while True:
        found = get_task(connection, task)
        if found.status != query_pb2.TASK_STATUS_UPLOADING:
            return found
        if time.monotonic() >= deadline:
            raise CommitTimeout(
                f"expected the model of task {task} within {connection.timeout_s:g} s, got a part"
            )
        time.sleep(POLL_S)
