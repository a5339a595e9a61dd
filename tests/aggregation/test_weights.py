from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.constants import MAX_TOTAL_WEIGHT
from aggregation.errors import UnknownRuleError, WeightRangeError
from aggregation.weights import RuleMean, RuleNormClip, WeightRule, compute_weights, parse_rule, unit_weight
from wire.gradchain.fl.v1 import task_pb2

squared_norms = st.lists(st.integers(0, 127**2 * 1_200_000) | st.just(0), max_size=40)
rules = st.just(RuleMean()) | st.builds(RuleNormClip, st.none() | st.integers(0, 2**20))


@pytest.mark.parametrize(
    ("largest", "unit"), [(0, 65_535), (1, 65_535), (2, 32_767), (1_024, 63), (65_535, 1)]
)
def test_the_unit_divides_the_limit_by_the_largest_assignment(largest: int, unit: int) -> None:
    assert unit_weight(largest) == unit


@pytest.mark.parametrize("largest", [-1, 65_536])
def test_an_assignment_without_a_unit_is_refused(largest: int) -> None:
    with pytest.raises(WeightRangeError):
        unit_weight(largest)


@given(rules, squared_norms)
def test_weights_stay_within_the_unit_and_the_packing(rule: WeightRule, norms: list[int]) -> None:
    unit = unit_weight(len(norms))
    weights = compute_weights(rule, norms, unit)
    assert len(weights) == len(norms)
    assert all(0 <= weight <= unit for weight in weights)
    assert sum(weights) <= MAX_TOTAL_WEIGHT


@given(squared_norms)
def test_the_mean_gives_everyone_the_unit(norms: list[int]) -> None:
    assert compute_weights(RuleMean(), norms, 63) == [63] * len(norms)


@given(squared_norms, st.integers(0, 2**20), st.integers(0, 1_000))
def test_clipping_is_the_floor_of_the_exact_quotient(norms: list[int], tau: int, unit: int) -> None:
    for norm, weight in zip(norms, compute_weights(RuleNormClip(tau), norms, unit), strict=True):
        if norm <= tau * tau:
            assert weight == unit
        else:
            exact = Fraction(unit * unit * tau * tau, norm)
            assert weight**2 <= exact < (weight + 1) ** 2


@pytest.mark.parametrize(
    ("norms", "weights"),
    [
        ([], []),
        ([0, 0, 0], [100, 100, 100]),
        ([100, 400, 1_600], [100, 100, 50]),
        ([100, 400], [100, 50]),  # the lower median
        ([0, 0, 0, 900], [100, 100, 100, 100]),  # zeros do not set the bound
        ([100, 100, 10**12], [100, 100, 0]),
        ([2, 8, 18], [100, 100, 66]),  # the norms themselves are irrational
    ],
)
def test_without_a_bound_the_lower_median_norm_is_the_bound(norms: list[int], weights: list[int]) -> None:
    assert compute_weights(RuleNormClip(None), norms, 100) == weights


def test_a_bound_of_zero_leaves_only_zero_updates_their_weight() -> None:
    assert compute_weights(RuleNormClip(0), [0, 1, 100], 10) == [10, 0, 0]


def test_weights_over_the_packing_are_refused() -> None:
    with pytest.raises(WeightRangeError):
        compute_weights(RuleMean(), [1, 1], 32_768)


@pytest.mark.parametrize(("norms", "unit"), [([-1], 1), ([1], -1), ([], 65_536)])
def test_numbers_outside_their_range_are_refused(norms: list[int], unit: int) -> None:
    with pytest.raises(WeightRangeError):
        compute_weights(RuleMean(), norms, unit)


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(WeightRangeError):
        RuleNormClip(-1)


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (task_pb2.Rule(mean=task_pb2.RuleMean()), RuleMean()),
        (task_pb2.Rule(norm_clip=task_pb2.RuleNormClip()), RuleNormClip(None)),
        (task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=7)), RuleNormClip(7)),
    ],
)
def test_rules_are_read_from_the_task_spec(message: task_pb2.Rule, rule: WeightRule) -> None:
    assert parse_rule(message) == rule


def test_a_task_without_a_rule_is_refused() -> None:
    with pytest.raises(UnknownRuleError):
        parse_rule(task_pb2.Rule())
