from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.errors import NotFiniteError, ScaleRangeError, SizeMismatchError
from aggregation.quantise import count_clipped, count_large, next_scale_exponent, quantise
from tests.support.aggregation import seeds, updates

exponents = st.integers(min_value=0, max_value=20)
# Multiples of 2^-24 below 2^9: sums of two of them are exact in float64.
values = st.integers(min_value=-(2**33), max_value=2**33).map(lambda number: number / 2**24)
pairs = st.lists(st.tuples(values, values), min_size=1, max_size=30)


@given(pairs, exponents)
def test_an_update_is_the_nearest_integer_within_the_limit(
    drawn: list[tuple[float, float]], exponent: int
) -> None:
    delta, residual = np.array(drawn).T
    quantised = quantise(delta, residual, exponent)
    for q, change, rest in zip(quantised.q, delta, residual, strict=True):
        # round() of a Fraction rounds half to even.
        nearest = round((Fraction(float(change)) + Fraction(float(rest))) * 2**exponent)
        assert q == max(-127, min(127, nearest))


@given(pairs, exponents)
def test_nothing_is_lost_between_update_and_residual(drawn: list[tuple[float, float]], exponent: int) -> None:
    delta, residual = np.array(drawn).T
    quantised = quantise(delta, residual, exponent)
    assert np.array_equal(quantised.q * 2.0**-exponent + quantised.residual, delta + residual)


@given(seeds)
def test_residuals_make_a_sequence_of_updates_add_up_to_its_deltas(seed: int) -> None:
    random = np.random.default_rng(seed)
    residual = np.zeros(50)
    sent, wanted = np.zeros(50), np.zeros(50)
    for _ in range(20):
        delta = random.integers(-(2**20), 2**20, 50) / 2**24
        quantised = quantise(delta, residual, 10)
        residual = quantised.residual
        sent += quantised.q / 1024
        wanted += delta
    assert np.array_equal(sent + residual, wanted)
    assert np.abs(residual).max() <= 0.5 / 1024


def test_halves_are_rounded_to_even_on_both_sides_of_zero() -> None:
    delta = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    assert quantise(delta, np.zeros(6), 0).q.tolist() == [0, 2, 2, 0, -2, -2]


def test_single_precision_is_taken_as_it_is() -> None:
    delta = np.array([0.1, -0.1], np.float32)
    quantised = quantise(delta, np.zeros(2, np.float32), 20)
    assert np.array_equal(quantised.q / 2**20 + quantised.residual, delta.astype(np.float64))


def test_what_is_clipped_stays_in_the_residual() -> None:
    quantised = quantise(np.array([1.0, -1.0]), np.zeros(2), 10)
    assert quantised.q.tolist() == [127, -127]
    assert quantised.residual.tolist() == [1 - 127 / 1024, 127 / 1024 - 1]
    assert quantised.clipped == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(NotFiniteError):
        quantise(np.array([0.0, value]), np.zeros(2), 10)
    with pytest.raises(NotFiniteError):
        quantise(np.zeros(2), np.array([value, 0.0]), 10)


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(SizeMismatchError):
        quantise(np.zeros(3), np.zeros(2), 10)
    with pytest.raises(SizeMismatchError):
        quantise(np.zeros((2, 2)), np.zeros((2, 2)), 10)


@pytest.mark.parametrize("exponent", [-1, 21])
def test_a_scale_outside_its_ends_is_refused(exponent: int) -> None:
    with pytest.raises(ScaleRangeError):
        quantise(np.zeros(2), np.zeros(2), exponent)
    with pytest.raises(ScaleRangeError):
        next_scale_exponent(exponent, [], 2)


@given(updates())
def test_counts_are_those_of_the_definition(q: np.ndarray) -> None:
    magnitudes = [abs(int(value)) for value in q]
    assert count_clipped(q) == sum(magnitude == 127 for magnitude in magnitudes)
    assert count_large(q) == sum(magnitude >= 64 for magnitude in magnitudes)


@pytest.mark.parametrize(
    ("exponent", "counts", "expected"),
    [
        (10, [], 10),
        (10, [(20, 500)], 10),  # exactly two in ten thousand: not more
        (10, [(21, 500)], 9),
        (10, [(0, 10)], 10),  # exactly one in ten thousand: not less
        (10, [(0, 9)], 11),
        (10, [(21, 0)], 9),  # clipping goes first
        (0, [(21, 0)], 0),
        (20, [(0, 0)], 20),
        (10, [(0, 0), (100_000, 100_000)], 11),  # the lower of two medians
        (10, [(21, 0), (21, 50), (0, 100)], 9),
        (10, [(0, 100), (30, 0), (0, 0)], 11),  # each count has a median of its own
        (10, [(0, 10), (0, 10), (9_999, 0)], 10),
    ],
)
def test_the_next_scale_follows_the_medians(
    exponent: int, counts: list[tuple[int, int]], expected: int
) -> None:
    assert next_scale_exponent(exponent, counts, 100_000) == expected


@given(exponents, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=9), st.randoms())
def test_the_next_scale_is_near_and_does_not_depend_on_the_order(
    exponent: int, counts: list[tuple[int, int]], random: np.random.Generator
) -> None:
    chosen = next_scale_exponent(exponent, counts, 50_890)
    random.shuffle(counts)
    assert chosen == next_scale_exponent(exponent, counts, 50_890)
    assert 0 <= chosen <= 20
    assert abs(chosen - exponent) <= 1
