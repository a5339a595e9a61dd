from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.aggregate import (
    aggregate_commitments,
    aggregate_updates,
    decode_aggregate,
    encode_aggregate,
    verify_aggregate,
)
from aggregation.errors import (
    AggregateOpeningError,
    AggregateRangeError,
    AggregateSumError,
    AggregationError,
    CommitmentError,
    PayloadRangeError,
    PayloadSizeError,
    SizeMismatchError,
    WeightRangeError,
)
from aggregation.kzg import commit_lanes, commit_update
from tests.support.aggregation import (
    CURVE,
    INFINITY,
    draw_updates,
    pack_integers,
    reference_commitments,
    seeds,
    shared_setup,
    update_matrices,
)

LIMIT: Final = 127 * 65_535


@dataclass(frozen=True)
class Claim:
    """What a shard sends to the hub."""

    commitments: list[tuple[bytes, ...]]
    weights: list[int]
    claimed: tuple[bytes, ...]
    aggregate: np.ndarray

    def verify(self, dimension: int | None = None) -> None:
        verify_aggregate(
            shared_setup(),
            self.commitments,
            self.weights,
            self.claimed,
            self.aggregate,
            self.aggregate.size if dimension is None else dimension,
            b"certificates",
        )


def make_claim(updates: np.ndarray, weights: list[int]) -> Claim:
    commitments = [commit_update(shared_setup(), q) for q in updates]
    return Claim(
        commitments=commitments,
        weights=weights,
        claimed=aggregate_commitments(commitments, weights),
        aggregate=aggregate_updates(updates, weights, updates.shape[1]),
    )


def small_claim(dimension: int = 25) -> Claim:
    return make_claim(draw_updates(1, 3, dimension), [7, 300, 65_228])


def commit_aggregate(aggregate: np.ndarray, total_weight: int) -> tuple[bytes, ...]:
    return commit_lanes(shared_setup(), aggregate.astype(np.int64) + 128 * total_weight)


@given(update_matrices(), st.data())
def test_sums_are_those_of_integers(updates: np.ndarray, data: st.DataObject) -> None:
    bound = 65_535 // len(updates)
    weights = data.draw(st.lists(st.integers(0, bound), min_size=len(updates), max_size=len(updates)))
    expected = [sum(w * int(value) for w, value in zip(weights, column, strict=True)) for column in updates.T]
    assert aggregate_updates(iter(updates), weights, updates.shape[1]).tolist() == expected


def test_extreme_sums_are_exact() -> None:
    updates = [np.full(5, 127, np.int8), np.full(5, -127, np.int8)]
    assert aggregate_updates(updates[:1], [65_535], 5).tolist() == [LIMIT] * 5
    assert aggregate_updates(updates[1:], [65_535], 5).tolist() == [-LIMIT] * 5
    assert aggregate_updates([updates[0]] * 65_535, [1] * 65_535, 5).tolist() == [LIMIT] * 5


def test_a_large_sum_is_exact() -> None:
    updates = draw_updates(2, 200, 5_001)
    weights = [int(weight) for weight in np.random.default_rng(3).integers(0, 328, 200)]
    expected = np.array(weights) @ updates.astype(np.int64)
    assert np.array_equal(aggregate_updates(updates, weights, 5_001), expected)


def test_without_updates_the_sum_is_zero() -> None:
    assert aggregate_updates([], [], 4).tolist() == [0] * 4
    assert aggregate_commitments([], [], 2) == (INFINITY, INFINITY)


@pytest.mark.parametrize("weights", [[65_536, 0], [-1, 1]])
def test_weights_outside_the_packing_are_refused(weights: list[int]) -> None:
    updates = draw_updates(4, 2, 5)
    with pytest.raises(WeightRangeError):
        aggregate_updates(updates, weights, 5)
    with pytest.raises(WeightRangeError):
        aggregate_commitments([(INFINITY,)] * 2, weights)
    with pytest.raises(WeightRangeError):
        replace(small_claim(), commitments=[(INFINITY,)] * 2, weights=weights).verify()


@pytest.mark.parametrize(("count", "size"), [(1, 5), (3, 5), (2, 4)])
def test_updates_of_another_number_or_size_are_refused(count: int, size: int) -> None:
    with pytest.raises(SizeMismatchError):
        aggregate_updates(draw_updates(5, count, size), [1, 1], 5)


def test_an_update_outside_the_limit_is_not_added_up() -> None:
    with pytest.raises(PayloadRangeError):
        aggregate_updates([np.array([-128], np.int8)], [1], 1)


@given(st.lists(st.integers(-(2**23), 2**23 - 1) | st.sampled_from([-(2**23), 2**23 - 1]), max_size=30))
def test_an_aggregate_decodes_to_what_was_encoded(values: list[int]) -> None:
    encoded = encode_aggregate(np.array(values, np.int64))
    assert encoded == b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    assert decode_aggregate(encoded, len(values)).tolist() == values


@pytest.mark.parametrize("value", [2**23, -(2**23) - 1])
def test_a_coordinate_of_more_than_three_bytes_is_not_encoded(value: int) -> None:
    with pytest.raises(AggregateRangeError):
        encode_aggregate(np.array([value]))


def test_an_aggregate_of_another_size_is_not_decoded() -> None:
    with pytest.raises(PayloadSizeError):
        decode_aggregate(bytes(10), 3)


@CURVE
@given(update_matrices(max_dimension=25), st.data())
def test_an_honest_aggregate_passes(updates: np.ndarray, data: st.DataObject) -> None:
    bound = 65_535 // len(updates)
    weights = data.draw(st.lists(st.integers(0, bound), min_size=len(updates), max_size=len(updates)))
    make_claim(updates, weights).verify()


@pytest.mark.parametrize("dimension", [40_960, 40_961, 50_890])
def test_an_honest_aggregate_of_many_blobs_passes(dimension: int) -> None:
    claim = make_claim(draw_updates(6, 2, dimension), [32_767, 32_768])
    claim.verify()
    lanes = (claim.aggregate.astype(np.int64) + 128 * 65_535).tolist()
    assert claim.claimed == reference_commitments(lanes)


@pytest.mark.parametrize("value", [-127, 127])
def test_an_aggregate_at_all_extremes_passes(value: int) -> None:
    claim = make_claim(np.full((1, 30), value, np.int8), [65_535])
    assert abs(claim.aggregate).tolist() == [LIMIT] * 30
    claim.verify()


def test_one_coordinate_off_by_one_is_caught() -> None:
    claim = small_claim()
    for place in (0, 9, 10, 24):
        tampered = claim.aggregate.copy()
        tampered[place] += 1
        with pytest.raises(AggregateOpeningError):
            replace(claim, aggregate=tampered).verify()


def test_another_aggregate_with_commitments_of_its_own_is_caught() -> None:
    claim = small_claim()
    tampered = claim.aggregate.copy()
    tampered[3] -= 1
    with pytest.raises(AggregateSumError):
        replace(claim, aggregate=tampered, claimed=commit_aggregate(tampered, 65_535)).verify()


def test_a_shift_that_hides_in_a_carry_is_caught_by_the_range() -> None:
    claim = small_claim()
    tampered = claim.aggregate.copy()
    tampered[4] -= 2**24
    tampered[5] += 1
    # The packed elements are the same number, so every commitment fits.
    honest, shifted = (
        pack_integers([int(value) + 128 * 65_535 for value in aggregate])
        for aggregate in (claim.aggregate, tampered)
    )
    assert honest == shifted
    with pytest.raises(AggregateRangeError):
        replace(claim, aggregate=tampered).verify()


@given(seeds, st.integers(0, 8), st.integers(-3, 3).filter(bool))
def test_no_carry_shift_stays_within_the_range(seed: int, place: int, carries: int) -> None:
    aggregate = draw_updates(seed, 1, 10)[0].astype(np.int64) * 65_535
    aggregate[place] -= carries * 2**24
    aggregate[place + 1] += carries
    claim = Claim([(INFINITY,)], [65_535], (INFINITY,), aggregate)
    with pytest.raises(AggregateRangeError):
        claim.verify()


def test_the_range_follows_the_total_weight() -> None:
    claim = make_claim(np.full((1, 12), 127, np.int8), [10])
    claim.verify()
    tampered = claim.aggregate.copy()
    tampered[11] += 1
    with pytest.raises(AggregateRangeError):
        replace(claim, aggregate=tampered).verify()


def test_swapped_columns_are_caught() -> None:
    claim = make_claim(draw_updates(7, 2, 81_920), [1, 2])
    with pytest.raises(AggregateSumError):
        replace(claim, claimed=claim.claimed[::-1]).verify()
    halves = np.concatenate([claim.aggregate[40_960:], claim.aggregate[:40_960]])
    with pytest.raises(AggregateOpeningError):
        replace(claim, aggregate=halves).verify()
    with pytest.raises(AggregateSumError):
        replace(claim, aggregate=halves, claimed=claim.claimed[::-1]).verify()


def test_errors_that_cancel_between_columns_are_caught() -> None:
    claim = make_claim(np.zeros((1, 81_920), np.int8), [100])
    tampered = claim.aggregate.copy()
    tampered[5] += 1
    tampered[40_960 + 5] -= 1
    with pytest.raises(AggregateOpeningError):
        replace(claim, aggregate=tampered).verify()


def test_other_weights_are_caught() -> None:
    claim = small_claim()
    with pytest.raises(AggregateSumError):
        replace(claim, weights=[300, 7, 65_228]).verify()
    with pytest.raises(AggregateSumError):
        replace(claim, weights=[8, 300, 65_227]).verify()


def test_an_update_left_out_is_caught() -> None:
    claim = small_claim()
    with pytest.raises(AggregateSumError):
        replace(claim, weights=[0, 300, 65_228], aggregate=claim.aggregate // 2).verify()


def test_a_value_behind_the_last_parameter_is_caught() -> None:
    longer = draw_updates(8, 2, 26)
    claim = make_claim(longer, [5, 6])
    with pytest.raises(AggregateOpeningError):
        replace(claim, aggregate=claim.aggregate[:25]).verify()


def test_without_updates_only_the_zero_aggregate_passes() -> None:
    empty = Claim([], [], (INFINITY, INFINITY), np.zeros(50_890, np.int32))
    empty.verify()
    one = np.zeros(50_890, np.int32)
    one[7] = 1
    with pytest.raises(AggregateRangeError):
        replace(empty, aggregate=one).verify()
    (other,) = commit_update(shared_setup(), np.array([3], np.int8))
    with pytest.raises(AggregateSumError):
        replace(empty, claimed=(INFINITY, other)).verify()


def test_without_weight_only_the_zero_aggregate_passes() -> None:
    claim = make_claim(draw_updates(9, 2, 20), [0, 0])
    assert claim.claimed == (INFINITY,)
    claim.verify()


@pytest.mark.parametrize(
    "claim",
    [
        Claim([(INFINITY,)] * 3, [1, 2], (INFINITY,), np.zeros(25, np.int32)),
        Claim([(INFINITY,)] * 4, [1, 2, 3], (INFINITY,), np.zeros(25, np.int32)),
        Claim([(INFINITY,), ()], [1, 2], (INFINITY,), np.zeros(25, np.int32)),
        Claim([(INFINITY,)], [1], (), np.zeros(25, np.int32)),
        Claim([(INFINITY,)], [1], (INFINITY, INFINITY), np.zeros(25, np.int32)),
        Claim([(INFINITY,)], [1], (INFINITY,), np.zeros((5, 5), np.int32)),
    ],
)
def test_parts_of_different_sizes_are_refused(claim: Claim) -> None:
    with pytest.raises(SizeMismatchError):
        claim.verify(25)


def test_updates_of_different_numbers_of_columns_are_not_added_up() -> None:
    with pytest.raises(SizeMismatchError):
        aggregate_commitments([(INFINITY,), (INFINITY, INFINITY)], [1, 1])
    with pytest.raises(SizeMismatchError):
        aggregate_commitments([(INFINITY,)], [1], 2)


@pytest.mark.parametrize("dimension", [24, 26, -1])
def test_an_aggregate_of_another_dimension_is_refused(dimension: int) -> None:
    with pytest.raises(SizeMismatchError):
        small_claim().verify(dimension)


@pytest.mark.parametrize("malformed", [b"", bytes(48), b"\xc0" + bytes(46) + b"\x01"])
def test_malformed_commitments_are_refused(malformed: bytes) -> None:
    claim = small_claim()
    with pytest.raises(CommitmentError):
        replace(claim, claimed=(malformed,)).verify()
    with pytest.raises(CommitmentError):
        replace(claim, commitments=[*claim.commitments[:2], (malformed,)]).verify()


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=12), st.integers(0, 65_535))
def test_wild_aggregates_raise_only_expected_errors(values: list[int], weight: int) -> None:
    claim = Claim([(INFINITY,)], [weight], (INFINITY,), np.array(values, np.int64))
    try:
        claim.verify()
    except AggregationError:
        return
    assert weight == 0
    assert not any(values)
