"""What can be checked of a checkpoint's header before its body has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregation.constants import AGGREGATE_BYTES
from aggregation.gram import gram_bytes
from aggregation.ordering import batch_sizes
from aggregation.payload import blob_count
from hub.checks import check_hash
from hub.errors import InvalidCheckpoint

if TYPE_CHECKING:
    from wire.gradchain.fl.v1 import packet_pb2, round_pb2

_CERTIFICATE_BYTES: Final = 1_200
_COMMITMENT_FIELD_BYTES: Final = 50
_GRAM_OVERHEAD_BYTES: Final = 64
_COLUMN_BYTES: Final = 128
_AGGREGATE_OVERHEAD_BYTES: Final = 8
"""Bounds of what the parts of a body can take, each with some room: they only keep a header from announcing more parts
than any body has."""


def check_header(
    header: packet_pb2.Checkpoint, info: round_pb2.RoundInfo, assigned: int, parameters: int
) -> None:
    """Check that a header can be true of its round.

    `assigned` is the number of participants of the shard, `parameters` that of the model.  A checkpoint without
    updates has no weight and no body.

    Raises:
      InvalidField: a root has not 32 bytes.
      InvalidCheckpoint: a number contradicts the round.

    """
    for field in ("certificates_root", "commitments_root", "grams_root", "body_root"):
        check_hash(field, getattr(header, field))
    if header.scale != info.scale:
        raise InvalidCheckpoint(f"expected scale {info.scale}, got {header.scale}")
    if header.updates > assigned:
        raise InvalidCheckpoint(f"expected at most {assigned} updates, got {header.updates}")
    if header.total_weight > header.updates * info.unit_weight:
        raise InvalidCheckpoint(
            f"expected a total weight of at most {header.updates * info.unit_weight}, got {header.total_weight}"
        )
    low, high = bound_body_bytes(parameters, header.updates)
    if not low <= header.body_bytes <= high:
        raise InvalidCheckpoint(f"expected a body of {low} to {high} bytes, got {header.body_bytes}")


def bound_body_bytes(parameters: int, updates: int) -> tuple[int, int]:
    """Return the least and the most bytes that a body can have; both are zero without updates."""
    if not updates:
        return 0, 0
    columns = blob_count(parameters)
    aggregate = AGGREGATE_BYTES * parameters
    most = (
        updates * (_CERTIFICATE_BYTES + columns * _COMMITMENT_FIELD_BYTES)
        + sum(gram_bytes(size) + _GRAM_OVERHEAD_BYTES for size in batch_sizes(updates))
        + columns * _COLUMN_BYTES
        + aggregate
        + _AGGREGATE_OVERHEAD_BYTES
    )
    return aggregate, most
