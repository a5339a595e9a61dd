"""The canonical model: parameters in fixed point, their step by the shards' aggregates, and their bytes.

A parameter is an int32 with `MODEL_FRACTION_BITS` fraction bits.  A round adds the weighted mean of all
updates: the shards' aggregates, each at the scale of the round that it answered, are brought to the model's
fraction bits first and divided by the total weight last, rounded half to even, because the other order would
throw away the bits that averaging gains.  The division is the only rounding, so it does not matter over how
many shards, or in which order, the same updates were spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregation.checks import check_aggregate_range, check_scale_exponent, check_total_weight
from aggregation.constants import MODEL_CHUNK_BYTES, MODEL_FRACTION_BITS, UPDATE_LIMIT
from aggregation.errors import (
    ModelStepOverflowError,
    NotFiniteError,
    PayloadSizeError,
    SizeMismatchError,
    StalenessError,
)
from aggregation.merkle import merkle_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_INT32: Final = np.iinfo(np.int32)
_NUMERATOR_BITS: Final = 62
"""Numerators stay below two to this power, so that twice a remainder still fits in an int64."""


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """What one shard adds to a model step."""

    aggregate: NDArray[np.int64] | NDArray[np.int32]
    """Weighted sum of updates, shape (d,), at most the update limit times the total weight a coordinate."""

    total_weight: int
    """Sum of the weights of those updates."""

    scale_exponent: int
    """k of the round that the shard answered: a step of its updates is 2^-k."""

    staleness: int = 0
    """How many rounds ago that was; each halves the weight."""


def model_step(
    model: NDArray[np.int32], contributions: Sequence[Contribution], max_staleness: int
) -> NDArray[np.int32]:
    """Return the model, int32 of shape (d,), after a round; saturated at the ends of int32.

    Each contribution enters numerator and denominator shifted left by max_staleness - staleness.  As a common
    factor of both changes nothing, the shift is taken from the stalest contribution instead of max_staleness.
    Without weight the model stays as it is.

    The numerator is exact while its bound, the sum over contributions of (update limit * W) << (fraction bits
    - k + shift), stays below 2^62: at the coarsest scale (k = 0) with W at its limit that allows 2^15
    contributions of one age, halved for every round between the freshest and the stalest one.

    Raises:
      SizeMismatchError: an aggregate has not the model's shape.
      StalenessError: a contribution is older than max_staleness, or of a negative age.
      ScaleRangeError: a scale exponent lies outside its ends.
      WeightRangeError: a total weight lies outside its range.
      AggregateRangeError: an aggregate is larger than its weight allows.
      ModelStepOverflowError: the numerator could exceed its bound.

    """
    if model.ndim != 1:
        raise SizeMismatchError(f"expected a model of shape (d,), got {model.shape}")
    for contribution in contributions:
        _check_contribution(contribution, model.size, max_staleness)
    weighty = [contribution for contribution in contributions if contribution.total_weight]
    if not weighty:
        return model.copy()
    stalest = max(contribution.staleness for contribution in weighty)
    _check_numerator(weighty, stalest)
    numerator = np.zeros(model.size, np.int64)
    denominator = 0
    for contribution in weighty:
        shift = stalest - contribution.staleness
        to_model = MODEL_FRACTION_BITS - contribution.scale_exponent + shift
        numerator += contribution.aggregate.astype(np.int64) << to_model
        denominator += contribution.total_weight << shift
    stepped = model.astype(np.int64) + divide_half_even(numerator, denominator)
    saturated: NDArray[np.int32] = np.clip(stepped, _INT32.min, _INT32.max).astype(np.int32)
    return saturated


def divide_half_even(numerator: NDArray[np.int64], denominator: int) -> NDArray[np.int64]:
    """Divide by a positive number and round to the nearest integer, halves to the even one.

    Exact for numerators and a denominator below 2^62.
    """
    quotient, remainder = np.divmod(numerator, denominator)
    twice = 2 * remainder
    up = (twice > denominator) | ((twice == denominator) & ((quotient & 1) == 1))
    rounded: NDArray[np.int64] = quotient + up
    return rounded


def to_fixed(values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.int32]:
    """Return floats of shape (d,) in the model's fixed point, rounded half to even, saturated.

    Raises:
      NotFiniteError: a value is not a number, or infinite.

    """
    unusable = int(np.count_nonzero(~np.isfinite(values)))
    if unusable:
        raise NotFiniteError(f"expected finite values, got {unusable} of {values.size} that are not")
    limit = 2.0 ** (32 - MODEL_FRACTION_BITS)
    scaled = np.ldexp(np.clip(values.astype(np.float64), -limit, limit), MODEL_FRACTION_BITS)
    return np.clip(np.rint(scaled), _INT32.min, _INT32.max).astype(np.int32)


def to_float(model: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the parameters' values, exactly; training may cast them to float32."""
    return np.ldexp(model.astype(np.float64), -MODEL_FRACTION_BITS)


def encode_model(model: NDArray[np.int32]) -> bytes:
    """Return the model's bytes: little-endian int32, in the order of its tensors.

    Raises:
      SizeMismatchError: the array is not one-dimensional.

    """
    if model.ndim != 1:
        raise SizeMismatchError(f"expected a model of shape (d,), got {model.shape}")
    return model.astype("<i4").tobytes()


def decode_model(encoded: bytes, dimension: int) -> NDArray[np.int32]:
    """Return the model of d parameters, int32 of shape (d,).

    Raises:
      PayloadSizeError: the bytes are not those of so many parameters.

    """
    if len(encoded) != 4 * dimension:
        raise PayloadSizeError(f"expected a model of {4 * dimension} bytes, got {len(encoded)}")
    return np.frombuffer(encoded, "<i4").astype(np.int32)


def model_chunks(encoded: bytes, chunk_bytes: int = MODEL_CHUNK_BYTES) -> list[bytes]:
    """Cut an encoded model in chunks, of which only the last one may be short."""
    return [encoded[start : start + chunk_bytes] for start in range(0, len(encoded), chunk_bytes)]


def model_root(encoded: bytes) -> bytes:
    """Return the Merkle root over the chunks of an encoded model; a leaf is a chunk's bytes."""
    return merkle_root(model_chunks(encoded))


def _check_contribution(contribution: Contribution, dimension: int, max_staleness: int) -> None:
    check_scale_exponent(contribution.scale_exponent)
    if not 0 <= contribution.staleness <= max_staleness:
        raise StalenessError(f"expected an age in 0..{max_staleness}, got {contribution.staleness}")
    check_total_weight(contribution.total_weight)
    aggregate = contribution.aggregate
    if aggregate.shape != (dimension,):
        raise SizeMismatchError(f"expected an aggregate of shape ({dimension},), got {aggregate.shape}")
    check_aggregate_range(aggregate, contribution.total_weight)


def _check_numerator(contributions: Sequence[Contribution], stalest: int) -> None:
    bound = 0
    for contribution in contributions:
        shift = MODEL_FRACTION_BITS - contribution.scale_exponent + stalest - contribution.staleness
        # No weight is below one, so a longer shift is over the bound by itself (and never carried out).
        if shift < _NUMERATOR_BITS:
            bound += UPDATE_LIMIT * contribution.total_weight << shift
        if shift >= _NUMERATOR_BITS or bound >> _NUMERATOR_BITS:
            raise ModelStepOverflowError(
                f"expected a numerator below 2^{_NUMERATOR_BITS}, got {len(contributions)} contributions "
                f"that may exceed it (ages spread over {stalest} rounds)"
            )
