from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rounds.assignment import cut_groups, derive_seed, order_participants
from hub.rounds.types import RoundId

participants = st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=40)


@pytest.mark.parametrize(
    ("count", "groups", "sizes"),
    [
        (8, 3, [3, 3, 2]),
        (6, 3, [2, 2, 2]),
        (7, 3, [3, 2, 2]),
        (2, 3, [1, 1]),
        (0, 3, []),
        (5, 1, [5]),
        (3, 0, []),
    ],
)
def test_groups_differ_by_one_at_most_and_larger_ones_come_first(
    count: int, groups: int, sizes: list[int]
) -> None:
    assert [len(group) for group in cut_groups([b"p"] * count, groups)] == sizes


@given(participants, st.integers(1, 10))
def test_the_groups_joined_are_the_participants_in_order(keys: list[bytes], count: int) -> None:
    groups = cut_groups(keys, count)
    assert [key for group in groups for key in group] == keys
    assert len(groups) == min(count, len(keys))
    assert all(groups)


@given(st.binary(min_size=32, max_size=32), participants)
def test_the_order_is_that_of_the_hashes_of_seed_and_participant(seed: bytes, keys: list[bytes]) -> None:
    expected = sorted(keys, key=lambda key: sha256(b"gradchain/assignment-order/1" + seed + key).digest())
    assert order_participants(seed, keys) == expected
    assert order_participants(seed, list(reversed(keys))) == expected


def test_the_seed_binds_chain_task_round_attempt_and_block() -> None:
    base = ("hub-1", RoundId(1, 2, 3), b"h" * 32)
    variants = [
        base,
        ("hub-2", *base[1:]),
        ("hub-1", RoundId(2, 2, 3), base[2]),
        ("hub-1", RoundId(1, 3, 3), base[2]),
        ("hub-1", RoundId(1, 2, 4), base[2]),
        (*base[:2], b"i" * 32),
    ]
    seeds = {derive_seed(*variant) for variant in variants}
    assert len(seeds) == len(variants)
    assert {len(seed) for seed in seeds} == {32}


def test_the_seed_is_the_hash_of_fields_of_fixed_width() -> None:
    expected = sha256(
        b"gradchain/round-seed/1"
        + sha256(b"hub-1").digest()
        + (7).to_bytes(8, "big")
        + (8).to_bytes(8, "big")
        + (9).to_bytes(4, "big")
        + b"h" * 32
    ).digest()
    assert derive_seed("hub-1", RoundId(7, 8, 9), b"h" * 32) == expected
