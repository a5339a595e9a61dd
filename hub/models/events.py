"""Events of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.events import Emitter


def emit_chunks_added(ctx: Emitter, task: int, root: bytes, chunks: int) -> None:
    """Tell how many chunks of a task's initial model are there."""
    ctx.emit("model_chunks_added", task=str(task), model_root=root.hex(), chunks=str(chunks))


def emit_model_complete(ctx: Emitter, task: int, root: bytes) -> None:
    """Tell that a task's initial model is there, and that the task takes participants."""
    ctx.emit("model_complete", task=str(task), model_root=root.hex())
