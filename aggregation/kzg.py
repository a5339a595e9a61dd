"""KZG commitments of packed updates and aggregates.

A commitment is linear: the weighted sum of commitments commits to the weighted sum of what they commit to.
To keep such sums readable, values sit in **lanes**: a field element holds ten lanes of 24 bits, the first in
the lowest bits, and a blob holds the elements of `ELEMENTS_PER_BLOB` evaluations in the bit-reversed order of
EIP-4844.  A coordinate of an update enters as q + 128; lanes past the last parameter are zero and cost
nothing to commit.

A commitment does not check ranges.  Whoever draws a conclusion on lanes from one must know by other means
that the lanes it was made from, and their weighted sums, fit in their bits.

The points are those of the public EIP-4844 ceremony (data/README.md).  The arithmetic of the curve releases
the interpreter lock while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from py_arkworks_bls12381 import G1Point, Scalar

from aggregation.constants import (
    COMMITMENT_BYTES,
    ELEMENTS_PER_BLOB,
    LANE_BITS,
    LANES_PER_ELEMENT,
)
from aggregation.errors import CommitmentError, LaneRangeError, SetupError, SizeMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SETUP_SHA256: Final = bytes.fromhex("d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7")
"""Digest of the ceremony file; without it no commitment can be checked against those of others."""

ELEMENT_BYTES: Final = 32
"""Bytes of a packed field element, little-endian; lanes leave the highest two at zero."""

_LANE_BYTES: Final = LANE_BITS // 8
_INDEX_BITS: Final = ELEMENTS_PER_BLOB.bit_length() - 1
_INFINITY: Final = G1Point.identity()


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """The loaded ceremony: what commitments are computed with."""

    points: tuple[G1Point, ...]
    """Lagrange points of G1 in the order of a blob's elements."""


def setup_path() -> Path:
    """Name the ceremony file of this package; the caller reads it."""
    return Path(__file__).parent / "data" / "kzg_trusted_setup.txt"


def load_setup(data: bytes) -> Setup:
    """Parse the ceremony file.

    Its points are taken without checks of curve and subgroup, which the pinned digest makes superfluous.

    Raises:
      SetupError: the bytes are another file.

    """
    digest = sha256(data).digest()
    if digest != SETUP_SHA256:
        raise SetupError(f"expected the file with sha256 {SETUP_SHA256.hex()}, got {digest.hex()}")
    # Two lines of counts come first, then the Lagrange points in natural order.
    lines = data.split(b"\n", ELEMENTS_PER_BLOB + 2)[2:-1]
    order = (int(f"{index:0{_INDEX_BITS}b}"[::-1], 2) for index in range(ELEMENTS_PER_BLOB))
    return Setup(
        tuple(G1Point.from_compressed_bytes_unchecked(bytes.fromhex(lines[i].decode())) for i in order)
    )


def pack_update(q: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack coordinates of an update, int8 of shape (m,), to field elements, uint8 of shape (ceil(m/10), 32).

    A row is an element in little-endian order.
    """
    lanes = np.zeros((-(-q.size // LANES_PER_ELEMENT), LANES_PER_ELEMENT), np.uint8)
    # In two's complement, adding 128 modulo 256 flips the highest bit.
    lanes.reshape(-1)[: q.size] = q.view(np.uint8) ^ 0x80
    rows = np.zeros((len(lanes), ELEMENT_BYTES), np.uint8)
    rows[:, 0 : LANES_PER_ELEMENT * _LANE_BYTES : _LANE_BYTES] = lanes
    return rows


def pack_lanes(lanes: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.uint8]:
    """Pack lane values, integers of shape (m,), to field elements, uint8 of shape (ceil(m/10), 32).

    Raises:
      LaneRangeError: a value does not fit in a lane.

    """
    if lanes.size and (int(lanes.min()) < 0 or int(lanes.max()) >> LANE_BITS):
        raise LaneRangeError(
            f"expected lanes in 0..{(1 << LANE_BITS) - 1}, got {int(lanes.min())}..{int(lanes.max())}"
        )
    padded = np.zeros((-(-lanes.size // LANES_PER_ELEMENT), LANES_PER_ELEMENT), "<u4")
    padded.reshape(-1)[: lanes.size] = lanes
    used = LANES_PER_ELEMENT * _LANE_BYTES
    rows = np.zeros((len(padded), ELEMENT_BYTES), np.uint8)
    octets = padded.view(np.uint8).reshape(-1, LANES_PER_ELEMENT, 4)
    rows[:, :used] = octets[:, :, :_LANE_BYTES].reshape(-1, used)
    return rows


def commit_elements(setup: Setup, rows: NDArray[np.uint8]) -> G1Point:
    """Commit to one blob's field elements, little-endian rows of shape (n, any width).

    Rows past the last are zero.  Elements are reduced modulo the order of the field; zero ones are left out.

    Raises:
      SizeMismatchError: there are more elements than a blob has.

    """
    if len(rows) > ELEMENTS_PER_BLOB:
        raise SizeMismatchError(f"expected at most {ELEMENTS_PER_BLOB} field elements, got {len(rows)}")
    points = list(setup.points[: len(rows)])
    used = np.flatnonzero(rows.any(axis=1))
    if used.size < len(rows):
        points = [points[index] for index in used.tolist()]
        rows = rows[used]
    width, packed = rows.shape[1], rows.tobytes()
    scalars = [
        Scalar.from_le_bytes_mod_order(packed[start : start + width])
        for start in range(0, len(packed), width)
    ]
    return multiply_points(points, scalars)


def commit_update(setup: Setup, q: NDArray[np.int8]) -> tuple[bytes, ...]:
    """Return the compressed commitments of an update, int8 of shape (d,), one a blob."""
    return _commit_rows(setup, pack_update(q))


def commit_lanes(setup: Setup, lanes: NDArray[np.int64] | NDArray[np.int32]) -> tuple[bytes, ...]:
    """Return the compressed commitments of lane values, integers of shape (d,), one a blob.

    Raises:
      LaneRangeError: a value does not fit in a lane.

    """
    return _commit_rows(setup, pack_lanes(lanes))


def decompress(commitment: bytes) -> G1Point:
    """Return the point of a commitment.

    Only the canonical encoding is taken (the library would also take a point at infinity with stray bits), so
    that two different commitments are always two different points.

    Raises:
      CommitmentError: the bytes are not the canonical encoding of a point of the subgroup.

    """
    if len(commitment) != COMMITMENT_BYTES:
        raise CommitmentError(f"expected a commitment of {COMMITMENT_BYTES} bytes, got {len(commitment)}")
    try:
        point = G1Point.from_compressed_bytes(commitment)
    except ValueError:
        # The library reports every defect of an encoding by this one type.
        raise CommitmentError(f"expected a point of the subgroup, got {commitment.hex()}") from None
    if point.to_compressed_bytes() != commitment:
        raise CommitmentError(f"expected the canonical encoding of a point, got {commitment.hex()}")
    return point


def compress(point: G1Point) -> bytes:
    """Return the canonical encoding of a point."""
    return point.to_compressed_bytes()


def multiply_points(points: Sequence[G1Point], multipliers: Sequence[Scalar]) -> G1Point:
    """Return the sum of points, each times its multiplier; of none, the point at infinity.

    Raises:
      SizeMismatchError: there is not one multiplier a point.

    """
    if len(points) != len(multipliers):
        raise SizeMismatchError(f"expected {len(points)} multipliers, got {len(multipliers)}")
    if not points:
        return _INFINITY
    return G1Point.multiexp_unchecked(list(points), list(multipliers))


def make_scalars(numbers: Sequence[int]) -> list[Scalar]:
    """Return field elements of non-negative numbers below 2^256."""
    return [Scalar.from_le_bytes_mod_order(number.to_bytes(ELEMENT_BYTES, "little")) for number in numbers]


def _commit_rows(setup: Setup, rows: NDArray[np.uint8]) -> tuple[bytes, ...]:
    return tuple(
        compress(commit_elements(setup, rows[start : start + ELEMENTS_PER_BLOB]))
        for start in range(0, len(rows), ELEMENTS_PER_BLOB)
    )
