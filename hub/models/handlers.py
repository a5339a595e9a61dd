"""Messages of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.definition import MessageHandler
from aggregation.merkle import verify_merkle_path
from hub.checks import check_address, check_parts, part_bytes, part_count
from hub.errors import NotCreator, TaskNotUploading, WrongChunk
from hub.models.events import emit_chunks_added
from hub.models.state import add_chunk, count_chunks, has_chunk, is_complete
from hub.tasks.lifecycle import begin_registering
from hub.tasks.state import put_task, require_task
from hub.tasks.types import TaskStatus
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.context import TxContext
    from abci_app.state import StateWriter
    from hub.models.keys import ModelId


def list_uploaders(message: tx_pb2.MsgUploadModel) -> tuple[bytes, ...]:
    """Return the creator."""
    return (message.creator,)


def check_upload_model(message: tx_pb2.MsgUploadModel) -> None:
    """Check the fields of an upload.

    Raises:
      InvalidField: an address, or the size of a part or of its path, is no valid one.

    """
    check_address("creator", message.creator)
    check_parts(message.parts)


def handle_upload_model(ctx: TxContext, state: StateWriter, message: tx_pb2.MsgUploadModel) -> None:
    """Add chunks of a task's initial model; with the last one the task takes participants.

    A chunk that is there already changes nothing, and neither does any chunk once the model was complete: an upload
    can be repeated until it is known to have worked.

    Raises:
      TaskNotFound, NotCreator, TaskNotUploading, WrongChunk: as their names say.
      MerklePathError: a chunk is not part of the model that the task names.

    """
    task = require_task(state, message.task)
    if message.creator != task.creator:
        raise NotCreator(f"expected the creator of task {task.number}, got another account")
    if task.status is TaskStatus.CANCELLED:
        raise TaskNotUploading("expected a task that waits for its model, got one that is cancelled")
    if task.status is not TaskStatus.UPLOADING:
        return
    for part in message.parts:
        check_chunk(task.model, part)
    before = count_chunks(state, task.model)
    for part in message.parts:
        if not has_chunk(state, task.model, part.index):
            add_chunk(state, task.model, part.index, part.data)
    chunks = count_chunks(state, task.model)
    if chunks > before:
        emit_chunks_added(ctx, task.number, task.model.root, chunks)
    if is_complete(state, task.model):
        put_task(state, begin_registering(ctx, state, task))


def check_chunk(model: ModelId, part: tx_pb2.DataPart) -> None:
    """Check that a part is the chunk of its index.

    Raises:
      WrongChunk: there is no chunk of that index, or it has another size.
      MerklePathError: its path does not lead to the model's root.

    """
    count = part_count(model.total_bytes)
    if part.index >= count:
        raise WrongChunk(f"expected an index below {count}, got {part.index}")
    expected = part_bytes(model.total_bytes, part.index)
    if len(part.data) != expected:
        raise WrongChunk(f"expected {expected} bytes in chunk {part.index}, got {len(part.data)}")
    verify_merkle_path(model.root, part.data, part.index, count, list(part.path))


UPLOAD_MODEL = MessageHandler(tx_pb2.MsgUploadModel, list_uploaders, check_upload_model, handle_upload_model)
