"""The bytes of an update on the wire.

A payload is the update's d coordinates as two's complement bytes, one each, in the order of the model's
tensors.  It is cut in blobs, of which each has a KZG commitment of its own; only the last one may be short.
The payload root is a Merkle root over the blobs' digests, so that a blob can be checked by itself, before the
others have arrived.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from aggregation.constants import PARAMS_PER_BLOB, UPDATE_LIMIT
from aggregation.errors import PayloadRangeError, PayloadSizeError, SizeMismatchError
from aggregation.merkle import merkle_path, merkle_root, verify_merkle_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def blob_count(dimension: int) -> int:
    """Return how many blobs an update of that many parameters takes.

    Raises:
      SizeMismatchError: the number is negative.

    """
    if dimension < 0:
        raise SizeMismatchError(f"expected a number of parameters, got {dimension}")
    return -(-dimension // PARAMS_PER_BLOB)


def encode_payload(q: NDArray[np.int8]) -> bytes:
    """Return the payload of an update, int8 of shape (d,).

    Raises:
      SizeMismatchError: the array is not one-dimensional.
      PayloadRangeError: a coordinate is outside the limit.

    """
    if q.ndim != 1:
        raise SizeMismatchError(f"expected an update of shape (d,), got {q.shape}")
    _check_range(q)
    return q.tobytes()


def decode_payload(payload: bytes, dimension: int) -> NDArray[np.int8]:
    """Return the update of a payload: a read-only view of its bytes, int8 of shape (d,).

    Raises:
      PayloadSizeError: the payload has not one byte a parameter.
      PayloadRangeError: a coordinate is outside the limit.

    """
    if len(payload) != dimension:
        raise PayloadSizeError(f"expected a payload of {dimension} bytes, got {len(payload)}")
    q = np.frombuffer(payload, np.int8)
    _check_range(q)
    return q


def split_blobs(payload: bytes) -> list[bytes]:
    """Cut a payload in blobs."""
    return [payload[start : start + PARAMS_PER_BLOB] for start in range(0, len(payload), PARAMS_PER_BLOB)]


def payload_root(payload: bytes) -> bytes:
    """Return the root that the statement of an update names for its payload."""
    return merkle_root(_blob_digests(payload))


def payload_path(payload: bytes, index: int) -> list[bytes]:
    """Return the audit path of a blob to the payload root.

    Raises:
      MerklePathError: there is no blob of that index.

    """
    return merkle_path(_blob_digests(payload), index)


def verify_blob(root: bytes, blob: bytes, index: int, count: int, path: Sequence[bytes]) -> None:
    """Check that a blob is the one of that index under a payload root over `count` blobs.

    Raises:
      MerklePathError: index, path or bytes are wrong.

    """
    verify_merkle_path(root, sha256(blob).digest(), index, count, path)


def _blob_digests(payload: bytes) -> list[bytes]:
    return [sha256(blob).digest() for blob in split_blobs(payload)]


def _check_range(q: NDArray[np.int8]) -> None:
    outside = np.flatnonzero(q < -UPDATE_LIMIT)
    if outside.size:
        first = int(outside[0])
        raise PayloadRangeError(
            f"expected coordinates in -{UPDATE_LIMIT}..{UPDATE_LIMIT}, got {int(q[first])} at {first}"
        )
