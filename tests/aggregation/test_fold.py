from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.errors import SizeMismatchError
from aggregation.fold import draw_multipliers, fold_blobs
from tests.support.aggregation import THOROUGH, pack_integers, seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

multipliers_or_extreme = st.integers(0, 2**128 - 1) | st.just(2**128 - 1)


def fold_integers(blobs: Sequence[Sequence[int]], bias: int, multipliers: Sequence[int]) -> list[int]:
    """Combine blobs with big integers, by the definition."""
    longest = max((len(blob) for blob in blobs), default=0)
    folded = [0] * (-(-longest // 10))
    for blob, multiplier in zip(blobs, multipliers, strict=True):
        for place, element in enumerate(pack_integers([value + bias for value in blob])):
            folded[place] += multiplier * element
    return folded


def read_rows(rows: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def draw_wide(random: np.random.Generator, count: int) -> list[int]:
    return [int.from_bytes(random.bytes(16), "big") for _ in range(count)]


@THOROUGH
@given(st.lists(st.tuples(st.lists(st.integers(-128, 127), max_size=45), multipliers_or_extreme), max_size=9))
def test_folded_updates_are_those_of_big_integers(drawn: list[tuple[list[int], int]]) -> None:
    blobs = [blob for blob, _ in drawn]
    multipliers = [multiplier for _, multiplier in drawn]
    folded = fold_blobs([np.array(blob, np.int8) for blob in blobs], 128, multipliers)
    assert read_rows(folded) == fold_integers(blobs, 128, multipliers)


@THOROUGH
@given(seeds, st.integers(1, 5))
def test_folded_aggregates_are_those_of_big_integers(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    limit, bias = 127 * 65_535, 128 * 65_535
    blobs = [
        random.integers(-limit, limit + 1, random.integers(5, 60)).astype(np.int32) for _ in range(count)
    ]
    blobs[0][:5] = [limit, -limit, limit, limit, -limit]
    multipliers = draw_wide(random, count)
    expected = fold_integers([blob.tolist() for blob in blobs], bias, multipliers)
    assert read_rows(fold_blobs(blobs, bias, multipliers)) == expected


@pytest.mark.parametrize("size", [4_089, 4_090, 4_091, 8_180, 40_959, 40_960])
def test_folding_is_exact_across_tiles_of_lanes(size: int) -> None:
    random = np.random.default_rng(size)
    blobs = [random.integers(-127, 128, length).astype(np.int8) for length in (size, size // 2)]
    multipliers = draw_wide(random, 2)
    expected = fold_integers([blob.tolist() for blob in blobs], 128, multipliers)
    assert read_rows(fold_blobs(blobs, 128, multipliers)) == expected


def test_folding_is_exact_across_tiles_of_blobs_at_all_extremes() -> None:
    blobs = [np.full(20, 2**24 - 1, np.int32)] * 2_100
    multipliers = [2**128 - 1] * 2_100
    element = sum((2**24 - 1) << (24 * place) for place in range(10))
    assert read_rows(fold_blobs(blobs, 0, multipliers)) == [2_100 * (2**128 - 1) * element] * 2


def test_a_blob_that_is_too_long_is_refused() -> None:
    with pytest.raises(SizeMismatchError):
        fold_blobs([np.zeros(40_961, np.int8)], 128, [1])


def test_blobs_without_multipliers_are_refused() -> None:
    with pytest.raises(SizeMismatchError):
        fold_blobs([np.zeros(3, np.int8)], 128, [])


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=5), st.data())
def test_multipliers_bind_every_part_and_its_length(parts: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parts) - 1))
    head, part, tail = parts[:place], parts[place], parts[place + 1 :]
    changes = [[*head, part + b"\x00", *tail], [*head, *tail], [*head, part, b"", *tail]]
    if part:
        changes.append([*head, part[:1], part[1:], *tail])
        changes.append([*head, bytes([part[0] ^ 1]) + part[1:], *tail])
    drawn = draw_multipliers(b"domain", parts, 3)
    assert all(drawn != draw_multipliers(b"domain", changed, 3) for changed in changes)
    assert drawn != draw_multipliers(b"niamod", parts, 3)


def test_multipliers_differ_and_have_their_width() -> None:
    drawn = draw_multipliers(b"domain", [b"part"], 500)
    assert len(set(drawn)) == 500
    assert all(0 <= multiplier < 2**128 for multiplier in drawn)
    assert max(drawn).bit_length() == 128
