"""What several commands ask of a hub node, unverified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.errors import UploadPointless
from cli.names import task_status
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from cli.context import Session

NEWEST_ATTEMPT: Final = 2**32 - 1


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
