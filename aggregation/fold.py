"""Random linear combinations of blobs, exactly.

Many equations "this commitment is the commitment of this blob" are checked at the price of one: each is
multiplied by a random number of `MULTIPLIER_BITS`, and the sum is checked.  If an equation is wrong, the sum
is right for at most one in 2^128 choices of its multiplier.  The numbers come out of a hash of everything
that the equations say (Fiat and Shamir), so nobody can choose blobs or commitments after having seen them.

The combination of the blobs is a product of matrices.  Multipliers are cut in limbs of 16 bits and lanes have
at most 24, so that products summed over a bounded number of blobs stay below 2^53, where float64 is exact in
any order of summation.  Limb k of lane l counts from bit 24 l + 16 k on, which is a whole byte: sums are kept
for each byte position, and carried once at the end.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from aggregation.constants import LANE_BITS, LANES_PER_ELEMENT, PARAMS_PER_BLOB
from aggregation.errors import SizeMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Values: TypeAlias = "NDArray[np.int8] | NDArray[np.int32]"
"""Values of a blob's lanes before they are biased."""

MULTIPLIER_BITS: Final = 128
_LIMB_BITS: Final = 16
_LIMBS: Final = MULTIPLIER_BITS // _LIMB_BITS
_ROWS: Final = 1_024
_LANES: Final = 4_090
"""Size of a tile of the product: bounds its memory (33 MB) and the size of its sums (2^50)."""

_LANE_BYTES: Final = LANE_BITS // 8
_LIMB_BYTES: Final = _LIMB_BITS // 8
_WIDTH: Final = 52
"""Bytes of a combined element before it is reduced, with room for the carries of 2^20 blobs."""


def draw_multipliers(domain: bytes, parts: Sequence[bytes], count: int) -> list[int]:
    """Derive `count` numbers of `MULTIPLIER_BITS` from all parts, in order and each with its length."""
    seed = sha256(domain)
    for part in parts:
        seed.update(len(part).to_bytes(8, "big"))
        seed.update(part)
    digest = seed.digest()
    size = MULTIPLIER_BITS // 8
    return [
        int.from_bytes(sha256(digest + index.to_bytes(4, "big")).digest()[:size], "big")
        for index in range(count)
    ]


def fold_blobs(blobs: Sequence[Values], bias: int, multipliers: Sequence[int]) -> NDArray[np.uint8]:
    """Return the field elements of sum_j multiplier_j * blob_j, little-endian rows, not yet reduced.

    A blob is an integer array of shape (m,), m at most `PARAMS_PER_BLOB`, whose lanes are its values +
    `bias`, each below 2^24; lanes past m are zero.  Multipliers are below 2^128.  The result is uint8 of
    shape (n, 52) with as many elements as the longest blob has.

    Raises:
      SizeMismatchError: a blob is too long, or there is not one multiplier a blob.

    """
    if len(blobs) != len(multipliers):
        raise SizeMismatchError(f"expected {len(blobs)} multipliers, got {len(multipliers)}")
    longest = max((blob.size for blob in blobs), default=0)
    if longest > PARAMS_PER_BLOB:
        raise SizeMismatchError(f"expected blobs of at most {PARAMS_PER_BLOB} parameters, got {longest}")
    limbs = _split_limbs(multipliers)
    sums = np.zeros((-(-longest // LANES_PER_ELEMENT), _WIDTH), np.int64)
    for first_blob in range(0, len(blobs), _ROWS):
        rows = slice(first_blob, first_blob + _ROWS)
        tile = np.empty((len(blobs[rows]), min(_LANES, len(sums) * LANES_PER_ELEMENT)), np.float64)
        for first_lane in range(0, longest, _LANES):
            _fill_tile(tile, blobs[rows], first_lane, bias)
            _add_products(sums, first_lane, limbs[:, rows] @ tile)
    return _carry(sums)


def _split_limbs(multipliers: Sequence[int]) -> NDArray[np.float64]:
    """Return the limbs of the multipliers, lowest first, shape (8, count)."""
    packed = b"".join(multiplier.to_bytes(MULTIPLIER_BITS // 8, "little") for multiplier in multipliers)
    return np.frombuffer(packed, "<u2").reshape(-1, _LIMBS).T.astype(np.float64)


def _fill_tile(
    tile: NDArray[np.float64],
    blobs: Sequence[Values],
    first_lane: int,
    bias: int,
) -> None:
    for row, blob in zip(tile, blobs, strict=True):
        values = blob[first_lane : first_lane + row.size]
        np.add(values, float(bias), out=row[: values.size])
        row[values.size :] = 0.0


def _add_products(sums: NDArray[np.int64], first_lane: int, products: NDArray[np.float64]) -> None:
    """Add the products of a tile, shape (8, lanes), to the byte positions of their elements."""
    first = first_lane // LANES_PER_ELEMENT
    by_element = products.astype(np.int64).reshape(_LIMBS, -1, LANES_PER_ELEMENT)
    target = sums[first : first + by_element.shape[1]]
    for limb, values in enumerate(by_element):
        start = limb * _LIMB_BYTES
        target[:, start : start + LANES_PER_ELEMENT * _LANE_BYTES : _LANE_BYTES] += values[: len(target)]


def _carry(sums: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Turn sums at byte positions into bytes."""
    columns = np.ascontiguousarray(sums.T)
    for position in range(_WIDTH - 1):
        columns[position + 1] += columns[position] >> 8
    # The cast keeps the lowest byte of each sum: what was above has been carried.
    return columns.T.astype(np.uint8)
