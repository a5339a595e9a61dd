"""From a float change of the model to an update, and the scale of the next round.

This is the participant's side, the one place of the package where floats carry values.  What rounding and
clipping take away is not lost: it stays with the participant as a residual and goes into its next update
(error feedback), so that nothing has to correct for it in the aggregate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aggregation.checks import check_scale_exponent
from aggregation.constants import LARGE_THRESHOLD, SCALE_EXPONENT_MAX, SCALE_EXPONENT_MIN, UPDATE_LIMIT
from aggregation.errors import NotFiniteError, SizeMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """An update and what its quantisation left over."""

    q: NDArray[np.int8]
    """The update, shape (d,), within the limit of the format."""

    residual: NDArray[np.float64]
    """What to add to the next delta, shape (d,), in units of the model's parameters."""

    clipped: int
    """Coordinates at the limit."""

    large: int
    """Coordinates of at least half the range."""


def quantise(
    delta: NDArray[np.float32] | NDArray[np.float64],
    residual: NDArray[np.float32] | NDArray[np.float64],
    scale_exponent: int,
) -> Quantised:
    """Round (delta + residual) / s to the integers of an update, half to even, with s = 2^-scale_exponent.

    Both arrays have shape (d,) and are in units of the model's parameters; the residual of a first update is
    all zeros.  Scaling by a power of two is exact, so rounding is the only error, and it is in the new
    residual.

    Raises:
      ScaleRangeError: the exponent lies outside its ends.
      SizeMismatchError: the arrays are not two vectors of one size.
      NotFiniteError: a value, or a scaled sum, is not finite.

    """
    check_scale_exponent(scale_exponent)
    if delta.ndim != 1 or residual.shape != delta.shape:
        raise SizeMismatchError(
            f"expected delta and residual of one shape (d,), got {delta.shape} and {residual.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = delta.astype(np.float64) + residual
        scaled = np.ldexp(wanted, scale_exponent)
    unusable = int(np.count_nonzero(~np.isfinite(scaled)))
    if unusable:
        raise NotFiniteError(f"expected finite values, got {unusable} of {delta.size} that are not")
    rounded = np.clip(np.rint(scaled), -UPDATE_LIMIT, UPDATE_LIMIT)
    q = rounded.astype(np.int8)
    return Quantised(
        q=q,
        residual=wanted - np.ldexp(rounded, -scale_exponent),
        clipped=count_clipped(q),
        large=count_large(q),
    )


def count_clipped(q: NDArray[np.int8]) -> int:
    """Count the coordinates of an update, int8 of any shape, that are at the limit."""
    return int(np.count_nonzero(q == UPDATE_LIMIT) + np.count_nonzero(q == -UPDATE_LIMIT))


def count_large(q: NDArray[np.int8]) -> int:
    """Count the coordinates of an update, int8 of any shape, that take at least half the range."""
    return int(np.count_nonzero(q >= LARGE_THRESHOLD) + np.count_nonzero(q <= -LARGE_THRESHOLD))


def next_scale_exponent(scale_exponent: int, counts: Sequence[tuple[int, int]], dimension: int) -> int:
    """Choose the next round's scale exponent from this round's (clipped, large) counts, one pair an update.

    More than two clipped in ten thousand coordinates in the median update: the steps get coarser.  Otherwise,
    less than one large in ten thousand: they get finer.  Medians are the lower ones of each count by itself,
    so that a minority cannot move the scale by false counts.  Without updates nothing changes.

    Raises:
      ScaleRangeError: the exponent lies outside its ends.

    """
    check_scale_exponent(scale_exponent)
    if not counts:
        return scale_exponent
    clipped = _lower_median([pair[0] for pair in counts])
    large = _lower_median([pair[1] for pair in counts])
    if 10_000 * clipped > 2 * dimension:
        return max(scale_exponent - 1, SCALE_EXPONENT_MIN)
    if 10_000 * large < dimension:
        return min(scale_exponent + 1, SCALE_EXPONENT_MAX)
    return scale_exponent


def _lower_median(values: list[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]
