"""Models by their content, and which of them a task still refers to.

Two tasks may start from the same model, and a round without updates leaves the model as it was: a model is stored
once, and dropped when nothing refers to it any more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from abci_app.state import BULK, PROVABLE
from aggregation.merkle import merkle_root
from hub.checks import PART_BYTES, part_count
from hub.errors import UnknownChunk
from hub.models.keys import ModelId, chunk_key, history_key, record_key, records_prefix
from hub.models.types import ModelRecord
from hub.records import decode_record, encode_record
from tx.paths import model_root_key

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter


def get_model_record(state: StateReader, model: ModelId) -> ModelRecord | None:
    """Return the record of a model, or None when nothing refers to it."""
    data = state.get(BULK, record_key(model))
    return None if data is None else decode_record(ModelRecord, data)


def count_chunks(state: StateReader, model: ModelId) -> int:
    """Return how many chunks of a model are there."""
    record = get_model_record(state, model)
    return 0 if record is None else record.chunks


def is_complete(state: StateReader, model: ModelId) -> bool:
    """Tell whether all chunks of a model are there."""
    return count_chunks(state, model) == part_count(model.total_bytes)


def find_complete_model(state: StateReader, root: bytes) -> ModelId:
    """Return the complete model with that root.

    Raises:
      UnknownChunk: there is none.

    """
    prefix = records_prefix(root)
    for key, _ in state.scan(BULK, prefix):
        model = ModelId(root, int.from_bytes(key[len(prefix) :], "big"))
        if is_complete(state, model):
            return model
    raise UnknownChunk(f"expected the root of a model that is kept, got {root.hex()}")


def reference_model(state: StateWriter, model: ModelId) -> None:
    """Keep a model, of which no chunk need be there yet."""
    record = get_model_record(state, model) or ModelRecord(references=0, chunks=0)
    _set_record(state, model, replace(record, references=record.references + 1))


def release_model(state: StateWriter, model: ModelId) -> None:
    """Undo one `reference_model`; with the last one the chunks go."""
    record = get_model_record(state, model)
    if record is None:
        return
    if record.references > 1:
        _set_record(state, model, replace(record, references=record.references - 1))
        return
    for index in range(part_count(model.total_bytes)):
        state.delete(BULK, chunk_key(model, index))
    state.delete(BULK, record_key(model))


def has_chunk(state: StateReader, model: ModelId, index: int) -> bool:
    """Tell whether a chunk is there."""
    return state.get(BULK, chunk_key(model, index)) is not None


def add_chunk(state: StateWriter, model: ModelId, index: int, chunk: bytes) -> None:
    """Store a chunk that is not there yet, of a model that is referred to.  The caller has checked its path."""
    record = _require_record(state, model)
    state.set(BULK, chunk_key(model, index), chunk)
    _set_record(state, model, replace(record, chunks=record.chunks + 1))


def read_chunk(state: StateReader, model: ModelId, index: int) -> bytes:
    """Return a chunk of a complete model.

    Raises:
      LookupError: it is not there: the state is damaged.

    """
    chunk = state.get(BULK, chunk_key(model, index))
    if chunk is None:
        raise LookupError(
            f"model {model.root.hex()} is complete and lacks chunk {index}: the state is damaged"
        )
    return chunk


def read_model(state: StateReader, model: ModelId) -> bytes:
    """Return the bytes of a complete model.

    Raises:
      LookupError: a chunk is not there: the state is damaged.

    """
    return b"".join(read_chunk(state, model, index) for index in range(part_count(model.total_bytes)))


def store_model(state: StateWriter, encoded: bytes) -> ModelId:
    """Store a whole model with one reference to it, and return its address."""
    chunks = [encoded[start : start + PART_BYTES] for start in range(0, len(encoded), PART_BYTES)]
    model = ModelId(merkle_root(chunks), len(encoded))
    reference_model(state, model)
    if not is_complete(state, model):
        for index, chunk in enumerate(chunks):
            state.set(BULK, chunk_key(model, index), chunk)
        _set_record(state, model, replace(_require_record(state, model), chunks=len(chunks)))
    return model


def record_newest_model(
    state: StateWriter, task: int, round_number: int, model: ModelId, keep_models: int
) -> None:
    """Make a model, of which one reference was taken, the task's newest, and let go of the oldest kept one."""
    state.set(PROVABLE, model_root_key(task), model.root)
    state.set(BULK, history_key(task, round_number), model.root)
    oldest = round_number - keep_models
    root = state.get(BULK, history_key(task, oldest)) if oldest >= 0 else None
    if root is not None:
        state.delete(BULK, history_key(task, oldest))
        release_model(state, ModelId(root, model.total_bytes))


def _require_record(state: StateReader, model: ModelId) -> ModelRecord:
    record = get_model_record(state, model)
    if record is None:
        raise LookupError(f"model {model.root.hex()} is used and nothing refers to it: the state is damaged")
    return record


def _set_record(state: StateWriter, model: ModelId, record: ModelRecord) -> None:
    state.set(BULK, record_key(model), encode_record(record))
