"""What several commands ask of a hub node, unverified."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aggregation.merkle import merkle_path
from aggregation.model import encode_model, model_chunks, model_root, to_fixed
from cli.errors import NotInTime, UploadPointless
from cli.names import task_status
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cli.context import Session
    from tx.keys import SigningKey
    from wire.gradchain.fl.v1 import task_pb2

PAGE: Final = 100
CHUNKS_A_TX: Final = 32
"""Chunks of a model sent together: 2 MiB, well below the largest transaction."""

POLL_S: Final = 0.3

NEWEST_ATTEMPT: Final = 2**32 - 1


def get_task(session: Session, task: int) -> query_pb2.Task:
    """Return a task.

    Raises:
      RemoteError: there is none of that number.
      NodeUnavailable: no node answered.

    """
    request = query_pb2.GetTaskRequest(task=task)
    return session.hub().hub(lambda stub: stub.GetTask(request, timeout=session.timeout_s)).task


def list_tasks(session: Session) -> Iterator[query_pb2.Task]:
    """Yield all tasks in order."""
    start = 1
    while True:
        page = _list_page(session, query_pb2.ListTasksRequest(start=start, limit=PAGE))
        yield from page
        # A node that repeats itself must not keep us here for ever.
        if not page or page[-1].task < start:
            return
        start = page[-1].task + 1


def _list_page(session: Session, request: query_pb2.ListTasksRequest) -> Sequence[query_pb2.Task]:
    return session.hub().hub(lambda stub: stub.ListTasks(request, timeout=session.timeout_s)).tasks


def encode_initial(vector: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Return the bytes of an initial model of shape (d,), and their root.

    Raises:
      NotFiniteError: a value is not finite.

    """
    encoded = encode_model(to_fixed(vector))
    return encoded, model_root(encoded)


def create_task(session: Session, key: SigningKey, spec: task_pb2.TaskSpec, root: bytes) -> int:
    """Create a task and return its number.

    The chain does not tell the number to who submits, so the newest task that is ours, in every byte, is looked for.

    Raises:
      RemoteError: the hub refused the task.
      NodeUnavailable: no node answered.
      NotInTime: the task does not show.

    """
    message = tx_pb2.MsgCreateTask(creator=key.public_key, spec=spec, model_root=root)
    known = max((task.task for task in list_tasks(session)), default=0)
    session.hub().send(session.hub_chain_id(), [message], [key])
    deadline = time.monotonic() + session.timeout_s
    while True:
        # Another node than the one that committed the transaction may answer, and be behind.
        for task in list_tasks(session):
            if (
                task.task > known
                and (task.creator, task.model_root) == (key.public_key, root)
                and task.spec == spec
            ):
                return task.task
        if time.monotonic() >= deadline:
            raise NotInTime(f"expected a new task within {session.timeout_s:g} s, got none")
        time.sleep(POLL_S)


def upload_model(session: Session, key: SigningKey, task: int, encoded: bytes) -> None:
    """Send the chunks of a task's initial model; chunks that are there already do no harm.

    Raises:
      RemoteError: the hub refused a chunk.
      NodeUnavailable: no node answered.

    """
    chunks = model_chunks(encoded)
    chain_id = session.hub_chain_id()
    for start in range(0, len(chunks), CHUNKS_A_TX):
        parts = [
            tx_pb2.DataPart(index=index, data=chunks[index], path=merkle_path(chunks, index))
            for index in range(start, min(start + CHUNKS_A_TX, len(chunks)))
        ]
        message = tx_pb2.MsgUploadModel(creator=key.public_key, task=task, parts=parts)
        session.hub().send(chain_id, [message], [key])


def check_uploadable(task: query_pb2.Task, root: bytes) -> None:
    """Check that a task waits for the model with that root.

    Raises:
      UploadPointless: it does not.

    """
    if task.status != query_pb2.TASK_STATUS_UPLOADING:
        status = task_status(task.status)
        raise UploadPointless(f"expected task {task.task} to wait for its model, got one that is {status}")
    if task.model_root != root:
        raise UploadPointless(
            f"expected the model with root {task.model_root.hex()} for task {task.task}, got {root.hex()}"
        )


def wait_until_uploaded(session: Session, task: int) -> query_pb2.Task:
    """Wait until a task has its model, and return it.

    Raises:
      NotInTime: it takes too long.

    """
    deadline = time.monotonic() + session.timeout_s
    while True:
        found = get_task(session, task)
        if found.status != query_pb2.TASK_STATUS_UPLOADING:
            return found
        if time.monotonic() >= deadline:
            raise NotInTime(
                f"expected the model of task {task} within {session.timeout_s:g} s, got a part of it"
            )
        time.sleep(POLL_S)


def get_round(session: Session, task: int, round_number: int | None, attempt: int | None) -> query_pb2.Round:
    """Return a round; of nothing the newest one, and the newest attempt.

    Raises:
      RemoteError: there is no such round.
      NodeUnavailable: no node answered.

    """
    # The hub answers with the newest attempt for one that does not exist; no attempt has this number.
    request = query_pb2.GetRoundRequest(
        task=task, round=round_number or 0, attempt=NEWEST_ATTEMPT if attempt is None else attempt
    )
    return session.hub().hub(lambda stub: stub.GetRound(request, timeout=session.timeout_s)).round
