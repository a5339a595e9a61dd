"""The weighted sum of a shard's updates, and the hub's check of it without the updates.

The hub sees the commitments C_i of the updates, their weights w_i, and the claimed aggregate A with
commitments C_A.  With W = sum w_i, three checks together make A the sum of w_i q_i:

1. |A| is at most 127 W in every coordinate, so that A + 128 W fits in its lane and nothing can hide in a carry
   from one lane to the next;
2. in every blob column, sum w_i C_i = C_A;
3. C_A commits to A + 128 W in lanes, with lanes past the last parameter at zero.

The third is folded over the columns, so that it costs one commitment for a model of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aggregation.checks import check_aggregate_range, check_weights
from aggregation.constants import AGGREGATE_BYTES, LANE_BIAS, PARAMS_PER_BLOB, UPDATE_LIMIT
from aggregation.errors import (
    AggregateOpeningError,
    AggregateRangeError,
    AggregateSumError,
    PayloadRangeError,
    PayloadSizeError,
    SizeMismatchError,
)
from aggregation.fold import draw_multipliers, fold_blobs
from aggregation.kzg import Setup, commit_elements, compress, decompress, make_scalars, multiply_points
from aggregation.payload import blob_count
from tx.domains import AGGREGATE_FOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from py_arkworks_bls12381 import G1Point


def aggregate_updates(
    updates: Iterable[NDArray[np.int8]], weights: Sequence[int], dimension: int
) -> NDArray[np.int32]:
    """Return sum w_i q_i of updates, int8 of shape (d,) each, exactly, as int32 of shape (d,).

    Updates are taken one at a time, so they need not be in memory together; without any, the sum is zero.
    The limits of coordinates and weights keep every partial sum far inside an int32.

    Raises:
      WeightRangeError: a weight is negative, or the total is too large.
      SizeMismatchError: there is not one weight an update, or an update has another shape.
      PayloadRangeError: a coordinate is outside the limit.

    """
    check_weights(weights)
    total = np.zeros(dimension, np.int32)
    product = np.empty(dimension, np.int32)
    count = 0
    for count, q in enumerate(updates, start=1):
        if q.shape != (dimension,):
            raise SizeMismatchError(f"expected updates of shape ({dimension},), got {q.shape}")
        if count > len(weights):
            break
        if dimension and int(q.min()) < -UPDATE_LIMIT:
            raise PayloadRangeError(f"expected coordinates of at least -{UPDATE_LIMIT}, got {int(q.min())}")
        np.multiply(q, np.int32(weights[count - 1]), out=product)
        total += product
    if count != len(weights):
        raise SizeMismatchError(f"expected {len(weights)} updates, got {count} or more")
    return total


def encode_aggregate(aggregate: NDArray[np.int64] | NDArray[np.int32]) -> bytes:
    """Return an aggregate's bytes: three a coordinate, two's complement, little-endian.

    Raises:
      AggregateRangeError: a coordinate does not fit.

    """
    half = 1 << (8 * AGGREGATE_BYTES - 1)
    if aggregate.size and (int(aggregate.min()) < -half or int(aggregate.max()) >= half):
        raise AggregateRangeError(
            f"expected coordinates in -{half}..{half - 1}, got {aggregate.min()}..{aggregate.max()}"
        )
    octets = aggregate.astype("<i4").view(np.uint8).reshape(-1, 4)
    return octets[:, :AGGREGATE_BYTES].tobytes()


def decode_aggregate(encoded: bytes, dimension: int) -> NDArray[np.int32]:
    """Return the aggregate of d coordinates, int32 of shape (d,).

    Raises:
      PayloadSizeError: the bytes are not those of so many coordinates.

    """
    if len(encoded) != AGGREGATE_BYTES * dimension:
        raise PayloadSizeError(
            f"expected an aggregate of {AGGREGATE_BYTES * dimension} bytes, got {len(encoded)}"
        )
    octets = np.zeros((dimension, 4), np.uint8)
    octets[:, 1:] = np.frombuffer(encoded, np.uint8).reshape(-1, AGGREGATE_BYTES)
    # The coordinate stands in the upper three bytes: the shift brings it down with its sign.
    return (octets.view("<i4").reshape(-1) >> 8).astype(np.int32)


def aggregate_commitments(
    commitments: Sequence[Sequence[bytes]], weights: Sequence[int], columns: int | None = None
) -> tuple[bytes, ...]:
    """Return sum w_i C_i for every blob column of the updates' commitments.

    `columns` is the number of blobs of an update; if it is not given, the first update tells.  Without updates
    every column is the point at infinity.

    Raises:
      WeightRangeError: a weight is negative, or the total is too large.
      SizeMismatchError: there is not one weight an update, or an update has another number of columns.
      CommitmentError: a commitment is malformed.

    """
    check_weights(weights)
    if columns is None:
        columns = len(commitments[0]) if commitments else 0
    _check_columns(commitments, weights, columns)
    return tuple(compress(point) for point in _add_columns(commitments, weights, columns))


def verify_aggregate(
    setup: Setup,
    commitments: Sequence[Sequence[bytes]],
    weights: Sequence[int],
    claimed: Sequence[bytes],
    aggregate: NDArray[np.int64] | NDArray[np.int32],
    dimension: int,
    binding: bytes,
) -> None:
    """Check a shard's aggregate against the commitments of its updates.

    `commitments` holds one tuple of blob commitments an update, `claimed` those of the aggregate, `aggregate`
    integers of shape (d,).  `binding` is whatever else the fold's randomness must depend on, such as the
    certificates' root.  Without updates, or with a total weight of zero, only the zero aggregate with
    commitments at infinity passes.

    Raises:
      WeightRangeError: a weight is negative, or the total is too large.
      SizeMismatchError: there is not one weight an update, not one commitment a blob, or not d coordinates.
      CommitmentError: a commitment is malformed.
      AggregateRangeError: a coordinate is larger than the weights allow.
      AggregateSumError: the claimed commitments are not the weighted sum of the updates' ones.
      AggregateOpeningError: the claimed commitments do not commit to the aggregate.

    """
    total_weight = check_weights(weights)
    columns = blob_count(dimension)
    _check_columns(commitments, weights, columns)
    if aggregate.shape != (dimension,):
        raise SizeMismatchError(f"expected an aggregate of shape ({dimension},), got {aggregate.shape}")
    if len(claimed) != columns:
        raise SizeMismatchError(f"expected {columns} commitments of the aggregate, got {len(claimed)}")
    check_aggregate_range(aggregate, total_weight)
    claimed_points = [decompress(commitment) for commitment in claimed]
    summed_points = _add_columns(commitments, weights, columns)
    for column, (expected, got) in enumerate(zip(summed_points, claimed_points, strict=True)):
        if expected != got:
            raise AggregateSumError(
                f"expected {compress(expected).hex()} in column {column}, got {claimed[column].hex()}"
            )
    coordinates = aggregate.astype(np.int32)
    multipliers = draw_multipliers(
        AGGREGATE_FOLD, _list_parts(binding, commitments, weights, claimed, coordinates), columns
    )
    _verify_opening(setup, claimed_points, coordinates, LANE_BIAS * total_weight, multipliers)


def _verify_opening(
    setup: Setup,
    claimed: Sequence[G1Point],
    aggregate: NDArray[np.int32],
    bias: int,
    multipliers: Sequence[int],
) -> None:
    starts = range(0, aggregate.size, PARAMS_PER_BLOB)
    blobs = [aggregate[start : start + PARAMS_PER_BLOB] for start in starts]
    opened = commit_elements(setup, fold_blobs(blobs, bias, multipliers))
    folded = multiply_points(claimed, make_scalars(multipliers))
    if opened != folded:
        raise AggregateOpeningError(
            f"expected {compress(folded).hex()} of the folded aggregate, got {compress(opened).hex()}"
        )


def _check_columns(commitments: Sequence[Sequence[bytes]], weights: Sequence[int], columns: int) -> None:
    if len(commitments) != len(weights):
        raise SizeMismatchError(f"expected {len(commitments)} weights, got {len(weights)}")
    for row in commitments:
        if len(row) != columns:
            raise SizeMismatchError(f"expected {columns} commitments an update, got {len(row)}")


def _add_columns(
    commitments: Sequence[Sequence[bytes]], weights: Sequence[int], columns: int
) -> list[G1Point]:
    scalars = make_scalars(weights)
    return [
        multiply_points([decompress(row[column]) for row in commitments], scalars)
        for column in range(columns)
    ]


def _list_parts(
    binding: bytes,
    commitments: Sequence[Sequence[bytes]],
    weights: Sequence[int],
    claimed: Sequence[bytes],
    aggregate: NDArray[np.int32],
) -> list[bytes]:
    return [
        binding,
        b"".join(weight.to_bytes(4, "big") for weight in weights),
        b"".join(commitment for row in commitments for commitment in row),
        b"".join(claimed),
        encode_aggregate(aggregate),
    ]
