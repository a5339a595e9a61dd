"""Check that many blobs open their commitments, for little more than the price of one.

The claims "C_j commits to blob b_j" are folded with multipliers r_j drawn from all blobs and all commitments:
one commitment of sum r_j b_j is compared with sum r_j C_j.  If they differ, the claims are halved until the
false ones stand alone.

The difference E(S) = commit(sum r_j b_j) - sum r_j C_j over a set S of claims adds up over disjoint sets, so
only the left half costs a commitment; the right half's difference is what remains.  The same multipliers
serve all halvings: which sets are looked at depends on the number of claims alone, a set with a false claim
in it passes for one in 2^128 multipliers, and there are fewer sets than twice the claims.

Cost in commitments of n claims: all honest 1; one liar about log2 n more; all lying n, half of them of
combinations, whose wide scalars take one and a half times as long as an update's.  So the worst that liars
can cause is one and a half times the price of checking one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from py_arkworks_bls12381 import G1Point

from aggregation.constants import LANE_BIAS, PARAMS_PER_BLOB
from aggregation.errors import CommitmentError
from aggregation.fold import draw_multipliers, fold_blobs
from aggregation.kzg import Setup, commit_elements, decompress, make_scalars, multiply_points, pack_update
from tx.domains import BATCH_CHECK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class BlobClaim:
    """Somebody's claim that a commitment commits to a blob of an update."""

    blob: NDArray[np.int8] | bytes
    """Coordinates, int8 of shape (m,) or their bytes; a longer one than a blob has no commitment."""

    commitment: bytes
    """The compressed commitment, as it was received."""


def verify_claims(setup: Setup, claims: Sequence[BlobClaim]) -> list[bool]:
    """Tell of each claim whether it is true.

    A commitment that is not the canonical encoding of a point makes its claim false, without more ado.
    """
    verdicts = [False] * len(claims)
    kept: list[int] = []
    points: list[G1Point] = []
    for index, claim in enumerate(claims):
        if len(claim.blob) > PARAMS_PER_BLOB:
            continue
        try:
            points.append(decompress(claim.commitment))
        except CommitmentError:
            continue
        kept.append(index)
    batch = _Batch.draw(setup, [claims[index] for index in kept], points)
    liars = set(batch.find_liars(0, len(kept), batch.error(0, len(kept))))
    for position, index in enumerate(kept):
        verdicts[index] = position not in liars
    return verdicts


def are_all_true(setup: Setup, claims: Sequence[BlobClaim]) -> bool:
    """Tell whether every claim is true, for little more than the price of one; not which one is false."""
    if any(len(claim.blob) > PARAMS_PER_BLOB for claim in claims):
        return False
    try:
        points = [decompress(claim.commitment) for claim in claims]
    except CommitmentError:
        return False
    return _Batch.draw(setup, claims, points).error(0, len(claims)) == G1Point.identity()


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Well-formed claims with their multipliers."""

    setup: Setup
    blobs: list[NDArray[np.int8]]
    points: list[G1Point]
    multipliers: list[int]

    @classmethod
    def draw(cls, setup: Setup, claims: Sequence[BlobClaim], points: list[G1Point]) -> _Batch:
        """Draw multipliers that bind every blob and every commitment."""
        blobs = [_as_array(claim.blob) for claim in claims]
        parts = [
            sha256(blob.tobytes()).digest() + claim.commitment
            for blob, claim in zip(blobs, claims, strict=True)
        ]
        return cls(setup, blobs, points, draw_multipliers(BATCH_CHECK, parts, len(claims)))

    def error(self, start: int, stop: int) -> G1Point:
        """Return the difference of the two sides over the claims [start, stop)."""
        scalars = make_scalars(self.multipliers[start:stop])
        if stop - start == 1:
            # The plain blob has shorter scalars than its multiple.
            single = commit_elements(self.setup, pack_update(self.blobs[start]))
            return (single - self.points[start]) * scalars[0]
        folded = fold_blobs(self.blobs[start:stop], LANE_BIAS, self.multipliers[start:stop])
        return commit_elements(self.setup, folded) - multiply_points(self.points[start:stop], scalars)

    def find_liars(self, start: int, stop: int, error: G1Point) -> list[int]:
        """Return the false claims of [start, stop), whose difference is `error`."""
        if error == G1Point.identity():
            return []
        if stop - start == 1:
            return [start]
        middle = (start + stop) // 2
        left = self.error(start, middle)
        return self.find_liars(start, middle, left) + self.find_liars(middle, stop, error - left)


def _as_array(blob: NDArray[np.int8] | bytes) -> NDArray[np.int8]:
    return np.frombuffer(blob, np.int8) if isinstance(blob, bytes) else blob
