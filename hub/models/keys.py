"""Keys of models in the bulk store.

| key | value |
|---|---|
| `models/record/` root size | how much of the model is there, and how many tasks refer to it |
| `models/chunk/` root size index | bytes of a chunk |
| `models/history/` task round | root of the model after that round; round 0 is the initial model |

The root takes 32 bytes, size, task and round eight, the index four, all big-endian.  A model is addressed by its
content.  The size is part of the address because a task names a root before anyone has seen what it is the root of:
with another size the same root is another model, which nobody can complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RECORD_PREFIX: Final = b"models/record/"
CHUNK_PREFIX: Final = b"models/chunk/"
HISTORY_PREFIX: Final = b"models/history/"


@dataclass(frozen=True, slots=True)
class ModelId:
    """The address of a model."""

    root: bytes
    """Merkle root over the model's chunks."""

    total_bytes: int
    """Size of the encoded model."""


def record_key(model: ModelId) -> bytes:
    """Return the key of a model's record."""
    return RECORD_PREFIX + model.root + model.total_bytes.to_bytes(8, "big")


def records_prefix(root: bytes) -> bytes:
    """Return the prefix of the records of all models with that root; at most one of them can be complete."""
    return RECORD_PREFIX + root


def chunk_key(model: ModelId, index: int) -> bytes:
    """Return the key of a chunk."""
    return CHUNK_PREFIX + model.root + model.total_bytes.to_bytes(8, "big") + index.to_bytes(4, "big")


def history_key(task: int, round_number: int) -> bytes:
    """Return the key of the root of the model after a round."""
    return HISTORY_PREFIX + task.to_bytes(8, "big") + round_number.to_bytes(8, "big")


def model_address(root: bytes, parameters: int) -> ModelId:
    """Return the address of a model of so many parameters, each of which takes an int32."""
    return ModelId(root, 4 * parameters)
