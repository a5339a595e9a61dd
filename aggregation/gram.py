"""Exact Gram matrices of updates, and their bytes.

G[i][j] = <q_i, q_j> decides weights and scores, so it must be the same integer everywhere, however a linear
algebra library orders its sums.  The product is computed in float32 over chunks of so few columns that every
partial sum is an integer below 2^24, which float32 holds exactly in any order; chunks are added up in int64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from aggregation.constants import UPDATE_LIMIT
from aggregation.errors import PayloadRangeError, PayloadSizeError, SizeMismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_COLUMNS: Final = 1_040
"""Columns of a chunk: their squares of the limit stay below 2^24."""


def gram_matrix(updates: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return all inner products of updates, int8 of shape (n, d), as int64 of shape (n, n).

    Raises:
      SizeMismatchError: the array is not two-dimensional.
      PayloadRangeError: a coordinate is outside the limit, so that sums would not be exact.

    """
    if updates.ndim != 2:
        raise SizeMismatchError(f"expected updates of shape (n, d), got {updates.shape}")
    if updates.size and int(updates.min()) < -UPDATE_LIMIT:
        raise PayloadRangeError(f"expected coordinates of at least -{UPDATE_LIMIT}, got {int(updates.min())}")
    count, dimension = updates.shape
    gram = np.zeros((count, count), np.int64)
    for start in range(0, dimension, EXACT_COLUMNS):
        chunk = updates[:, start : start + EXACT_COLUMNS].astype(np.float32)
        gram += (chunk @ chunk.T).astype(np.int64)
    return gram


def gram_bytes(count: int) -> int:
    """Return the size of the encoded Gram matrix of that many updates."""
    return count * (count + 1) // 2 * 8


def encode_gram(gram: NDArray[np.int64]) -> bytes:
    """Return the upper triangle with the diagonal, row by row, as signed big-endian numbers of eight bytes.

    Raises:
      SizeMismatchError: the array is not a symmetric matrix.

    """
    if gram.ndim != 2 or not np.array_equal(gram, gram.T):
        raise SizeMismatchError(f"expected a symmetric matrix, got an array of shape {gram.shape}")
    return gram[np.triu_indices(len(gram))].astype(">i8").tobytes()


def decode_gram(encoded: bytes, count: int) -> NDArray[np.int64]:
    """Return the Gram matrix of `count` updates, int64 of shape (count, count).

    Raises:
      SizeMismatchError: the count is negative.
      PayloadSizeError: the bytes are not those of so many updates.

    """
    if count < 0:
        raise SizeMismatchError(f"expected a number of updates, got {count}")
    if len(encoded) != gram_bytes(count):
        raise PayloadSizeError(f"expected {gram_bytes(count)} bytes, got {len(encoded)}")
    rows, columns = np.triu_indices(count)
    gram = np.zeros((count, count), np.int64)
    gram[rows, columns] = np.frombuffer(encoded, ">i8")
    gram[columns, rows] = gram[rows, columns]
    return gram
