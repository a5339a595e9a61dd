from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localnet.errors import AppHashesDiverge
from localnet.status import Observation, check_agreement, find_divergences
from tests.support.localnet import build_report


def test_nodes_that_agree_raise_no_alarm() -> None:
    state = Observation(7, "aa")
    reports = [replace(build_report(f"hub.{index}"), states=(state,)) for index in range(4)]
    assert find_divergences(reports) == []
    check_agreement(reports)


def test_two_hashes_at_one_height_raise_the_alarm_with_the_nodes() -> None:
    reports = [
        replace(build_report("hub.0"), states=(Observation(7, "aa"),)),
        replace(build_report("hub.1"), states=(Observation(9, "cc"), Observation(7, "bb"))),
        replace(build_report("hub.2"), states=(Observation(7, "aa"),)),
    ]
    (divergence,) = find_divergences(reports)
    assert (divergence.chain, divergence.height) == ("hub", 7)
    assert divergence.nodes_by_hash == {"aa": ("hub.0", "hub.2"), "bb": ("hub.1",)}
    with pytest.raises(
        AppHashesDiverge, match=r"chain hub at height 7: aa of hub\.0, hub\.2 against bb of hub\.1"
    ):
        check_agreement(reports)


def test_different_heights_and_different_chains_are_not_compared() -> None:
    check_agreement(
        [
            replace(build_report("hub.0"), states=(Observation(7, "aa"),)),
            replace(build_report("hub.1"), states=(Observation(8, "bb"),)),
            replace(build_report("shard.0", chain="shard"), states=(Observation(7, "cc"),)),
        ]
    )


def test_a_node_that_says_nothing_is_no_divergence() -> None:
    check_agreement([build_report("hub.0"), replace(build_report("hub.1"), states=(Observation(1, "aa"),))])
    assert build_report("hub.0").app_hash == ""


states = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["aa", "bb"])), max_size=3)


@given(st.lists(states, max_size=5))
def test_an_alarm_is_raised_exactly_when_a_height_has_two_hashes(told: list[list[tuple[int, str]]]) -> None:
    reports = [
        replace(build_report(f"hub.{index}"), states=tuple(Observation(*state) for state in items))
        for index, items in enumerate(told)
    ]
    by_height: dict[int, set[str]] = {}
    for items in told:
        for height, app_hash in items:
            by_height.setdefault(height, set()).add(app_hash)
    expected = {height for height, hashes in by_height.items() if len(hashes) > 1}
    assert {divergence.height for divergence in find_divergences(reports)} == expected
