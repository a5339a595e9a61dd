from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.aggregate import aggregate_updates
from aggregation.errors import (
    AggregateRangeError,
    AggregationError,
    ModelStepOverflowError,
    NotFiniteError,
    PayloadSizeError,
    ScaleRangeError,
    SizeMismatchError,
    StalenessError,
    WeightRangeError,
)
from aggregation.merkle import merkle_root
from aggregation.model import (
    Contribution,
    decode_model,
    divide_half_even,
    encode_model,
    model_chunks,
    model_root,
    model_step,
    to_fixed,
    to_float,
)
from aggregation.weights import RuleMean, compute_weights, unit_weight
from tests.support.aggregation import THOROUGH, draw_updates, seeds

INT32 = np.iinfo(np.int32)
parameters = st.integers(INT32.min, INT32.max) | st.sampled_from([INT32.min, INT32.max, 0])
MAX_STALENESS = 5


@st.composite
def contributions(draw: st.DrawFn, dimension: int) -> Contribution:
    weight = draw(st.integers(0, 65_535) | st.sampled_from([0, 1, 65_535]))
    limit = 127 * weight
    coordinate = st.integers(-limit, limit) | st.sampled_from([-limit, limit])
    return Contribution(
        aggregate=np.array(draw(st.lists(coordinate, min_size=dimension, max_size=dimension)), np.int64),
        total_weight=weight,
        scale_exponent=draw(st.integers(0, 20)),
        staleness=draw(st.integers(0, MAX_STALENESS)),
    )


def step_exactly(model: np.ndarray, parts: list[Contribution], max_staleness: int) -> list[int]:
    """Compute the step with fractions, by the definition."""
    total = sum(part.total_weight << (max_staleness - part.staleness) for part in parts)
    stepped = []
    for place, parameter in enumerate(model.tolist()):
        moved = sum(
            (int(part.aggregate[place]) << (24 - part.scale_exponent)) << (max_staleness - part.staleness)
            for part in parts
        )
        # round() of a Fraction rounds half to even.
        step = round(Fraction(moved, total)) if total else 0
        stepped.append(max(INT32.min, min(INT32.max, parameter + step)))
    return stepped


@THOROUGH
@given(st.data())
def test_a_step_is_that_of_fractions(data: st.DataObject) -> None:
    dimension = data.draw(st.integers(1, 6))
    model = np.array(data.draw(st.lists(parameters, min_size=dimension, max_size=dimension)), np.int32)
    parts = data.draw(st.lists(contributions(dimension), max_size=5))
    stepped = model_step(model, parts, MAX_STALENESS)
    assert stepped.dtype == np.int32
    assert stepped.tolist() == step_exactly(model, parts, MAX_STALENESS)


@THOROUGH
@given(st.data(), st.randoms())
def test_a_step_does_not_depend_on_the_order_of_shards(
    data: st.DataObject, random: np.random.Generator
) -> None:
    parts = data.draw(st.lists(contributions(4), max_size=5))
    model = np.zeros(4, np.int32)
    before = model_step(model, parts, MAX_STALENESS)
    random.shuffle(parts)
    assert np.array_equal(before, model_step(model, parts, MAX_STALENESS))


@THOROUGH
@given(seeds, st.integers(1, 30), st.integers(0, 20))
def test_the_mean_is_the_same_over_any_number_of_shards(seed: int, count: int, exponent: int) -> None:
    random = np.random.default_rng(seed)
    updates = draw_updates(seed, count, 40)
    model = random.integers(INT32.min, INT32.max, 40).astype(np.int32)
    results = []
    for shards in (1, 2, 3):
        assigned = random.integers(0, shards, count)
        groups = [updates[assigned == shard] for shard in range(shards)]
        unit = unit_weight(max(len(group) for group in groups))
        parts = []
        for group in groups:
            weights = compute_weights(RuleMean(), [0] * len(group), unit)
            parts.append(Contribution(aggregate_updates(group, weights, 40), sum(weights), exponent))
        results.append(model_step(model, parts, 0))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize("parts", [[], [Contribution(np.zeros(3, np.int64), 0, 10)]])
def test_without_weight_the_model_stays(parts: list[Contribution]) -> None:
    model = np.array([1, -2, INT32.max], np.int32)
    stepped = model_step(model, parts, 0)
    assert np.array_equal(stepped, model)
    assert stepped is not model


def test_the_ends_of_the_range_saturate() -> None:
    extreme = Contribution(np.array([127, -127]) * 65_535, 65_535, 0)
    model = np.array([INT32.max - 1, INT32.min + 1], np.int32)
    assert model_step(model, [extreme], 0).tolist() == [INT32.max, INT32.min]


def test_each_round_of_age_halves_the_weight() -> None:
    fresh = Contribution(np.array([300]), 100, 24 - 4, 0)
    stale = Contribution(np.array([-300]), 100, 24 - 4, 1)
    # The fresh one counts twice: a mean of one step, of sixteen units of the model.
    assert model_step(np.zeros(1, np.int32), [fresh, stale], 3).tolist() == [16]


def test_the_bound_on_staleness_does_not_change_the_step() -> None:
    part = Contribution(np.array([12_345, -777]), 1_000, 3, 2)
    model = np.zeros(2, np.int32)
    assert np.array_equal(model_step(model, [part], 2), model_step(model, [part], 10**9))


def test_the_documented_number_of_contributions_fits() -> None:
    part = Contribution(np.array([127 * 65_535, -127 * 65_535]), 65_535, 0)
    aged = Contribution(part.aggregate, 65_535, 0, 5)
    parts = [part] * 1_023 + [aged]
    assert model_step(np.zeros(2, np.int32), parts, 5).tolist() == [127 << 24, -127 << 24]


def test_what_could_overflow_is_refused() -> None:
    part = Contribution(np.array([1]), 65_535, 0)
    with pytest.raises(ModelStepOverflowError):
        model_step(np.zeros(1, np.int32), [part] * 33_100, 0)
    for age in (20, 10**9):
        aged = Contribution(np.array([1]), 65_535, 0, age)
        with pytest.raises(ModelStepOverflowError):
            model_step(np.zeros(1, np.int32), [part, aged], age)


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (Contribution(np.zeros(2, np.int64), 1, 10), SizeMismatchError),
        (Contribution(np.zeros(3, np.int64), 1, 21), ScaleRangeError),
        (Contribution(np.zeros(3, np.int64), 1, -1), ScaleRangeError),
        (Contribution(np.zeros(3, np.int64), 1, 10, 3), StalenessError),
        (Contribution(np.zeros(3, np.int64), 1, 10, -1), StalenessError),
        (Contribution(np.zeros(3, np.int64), -1, 10), WeightRangeError),
        (Contribution(np.zeros(3, np.int64), 65_536, 10), WeightRangeError),
        (Contribution(np.array([0, 128, 0]), 1, 10), AggregateRangeError),
        (Contribution(np.array([0, 1, 0]), 0, 10), AggregateRangeError),
    ],
)
def test_a_contribution_out_of_range_is_refused(part: Contribution, error: type[AggregationError]) -> None:
    with pytest.raises(error):
        model_step(np.zeros(3, np.int32), [part], 2)


def test_a_model_of_another_shape_is_refused() -> None:
    with pytest.raises(SizeMismatchError):
        model_step(np.zeros((2, 2), np.int32), [], 0)
    with pytest.raises(SizeMismatchError):
        encode_model(np.zeros((2, 2), np.int32))


@given(st.lists(st.integers(-(2**62) + 1, 2**62 - 1), min_size=1, max_size=8), st.integers(1, 2**62 - 1))
def test_division_rounds_halves_to_even(numerators: list[int], denominator: int) -> None:
    quotients = divide_half_even(np.array(numerators, np.int64), denominator)
    assert quotients.tolist() == [round(Fraction(numerator, denominator)) for numerator in numerators]


@given(st.integers(-1_000, 1_000), st.integers(1, 1_000))
def test_exact_halves_go_to_the_even_neighbour(number: int, half: int) -> None:
    (quotient,) = divide_half_even(np.array([(2 * number + 1) * half]), 2 * half).tolist()
    assert quotient == round(Fraction(2 * number + 1, 2))
    assert quotient % 2 == 0


@given(st.lists(st.floats(-200, 200) | st.sampled_from([128.0, -128.0, 1e300, -1e300]), min_size=1))
def test_fixed_point_is_the_nearest_saturated(values: list[float]) -> None:
    expected = [max(INT32.min, min(INT32.max, round(Fraction(value) * 2**24))) for value in values]
    assert to_fixed(np.array(values)).tolist() == expected


@given(st.lists(parameters, min_size=1, max_size=20))
def test_a_parameter_survives_the_way_to_float_and_back(values: list[int]) -> None:
    model = np.array(values, np.int32)
    assert np.array_equal(to_fixed(to_float(model)), model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_no_fixed_point(value: float) -> None:
    with pytest.raises(NotFiniteError):
        to_fixed(np.array([0.0, value], np.float32))


@given(st.lists(parameters, max_size=20))
def test_a_model_decodes_to_what_was_encoded(values: list[int]) -> None:
    encoded = encode_model(np.array(values, np.int32))
    assert encoded == b"".join(value.to_bytes(4, "little", signed=True) for value in values)
    assert decode_model(encoded, len(values)).tolist() == values


@pytest.mark.parametrize("size", [11, 13, 0])
def test_a_model_of_another_size_is_not_decoded(size: int) -> None:
    with pytest.raises(PayloadSizeError):
        decode_model(bytes(size), 3)


@pytest.mark.parametrize(("size", "count"), [(0, 0), (1, 1), (65_536, 1), (65_537, 2), (203_560, 4)])
def test_the_model_root_is_over_its_chunks(size: int, count: int) -> None:
    encoded = np.random.default_rng(size).bytes(size)
    chunks = model_chunks(encoded)
    assert len(chunks) == count
    assert b"".join(chunks) == encoded
    assert model_root(encoded) == merkle_root(chunks)
