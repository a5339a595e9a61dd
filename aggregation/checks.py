"""Range checks that several steps of the arithmetic share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregation.constants import MAX_TOTAL_WEIGHT, SCALE_EXPONENT_MAX, SCALE_EXPONENT_MIN, UPDATE_LIMIT
from aggregation.errors import AggregateRangeError, ScaleRangeError, WeightRangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def check_scale_exponent(scale_exponent: int) -> None:
    """Refuse a scale exponent outside its ends.

    Raises:
      ScaleRangeError: the exponent is too small or too large.

    """
    if not SCALE_EXPONENT_MIN <= scale_exponent <= SCALE_EXPONENT_MAX:
        raise ScaleRangeError(
            f"expected a scale exponent in {SCALE_EXPONENT_MIN}..{SCALE_EXPONENT_MAX}, got {scale_exponent}"
        )


def check_weights(weights: Sequence[int]) -> int:
    """Return the total of weights that the packing can hold.

    Raises:
      WeightRangeError: a weight is negative, or the total is too large.

    """
    if any(weight < 0 for weight in weights):
        raise WeightRangeError(f"expected weights of at least 0, got {min(weights)}")
    total = sum(weights)
    check_total_weight(total)
    return total


def check_total_weight(total_weight: int) -> None:
    """Refuse a total weight that the packing cannot hold.

    Raises:
      WeightRangeError: the total is negative or too large.

    """
    if not 0 <= total_weight <= MAX_TOTAL_WEIGHT:
        raise WeightRangeError(f"expected a total weight in 0..{MAX_TOTAL_WEIGHT}, got {total_weight}")


def check_aggregate_range(aggregate: NDArray[np.int64] | NDArray[np.int32], total_weight: int) -> None:
    """Refuse an aggregate, integers of shape (d,), that no updates of that total weight add up to.

    Raises:
      AggregateRangeError: a coordinate is larger than the update limit times the weight.

    """
    if not aggregate.size:
        return
    limit = UPDATE_LIMIT * total_weight
    low, high = int(aggregate.min()), int(aggregate.max())
    if low < -limit or high > limit:
        raise AggregateRangeError(f"expected coordinates in -{limit}..{limit}, got {low}..{high}")
