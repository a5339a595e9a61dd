from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_arkworks_bls12381 import G1Point

from aggregation.errors import CommitmentError, LaneRangeError, SetupError, SizeMismatchError
from aggregation.kzg import (
    commit_elements,
    commit_lanes,
    commit_update,
    compress,
    decompress,
    load_setup,
    make_scalars,
    multiply_points,
    pack_lanes,
    pack_update,
    setup_path,
)
from tests.support.aggregation import (
    CURVE,
    INFINITY,
    OUTSIDE_SUBGROUP,
    draw_updates,
    pack_integers,
    reference_commitment,
    reference_commitments,
    seeds,
    shared_setup,
    updates,
)

lane_lists = st.lists(st.integers(0, 2**24 - 1) | st.just(2**24 - 1), max_size=40)


def read_rows(rows: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


@given(updates())
def test_a_coordinate_is_packed_with_its_bias(q: np.ndarray) -> None:
    assert read_rows(pack_update(q)) == pack_integers([int(value) + 128 for value in q])


@given(lane_lists)
def test_lanes_are_packed_from_the_lowest_bits(lanes: list[int]) -> None:
    assert read_rows(pack_lanes(np.array(lanes, np.int64))) == pack_integers(lanes)


@pytest.mark.parametrize("value", [-1, 2**24])
def test_a_lane_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(LaneRangeError):
        pack_lanes(np.array([0, value, 1]))


@pytest.mark.parametrize("dimension", [1, 9, 10, 11, 40_960, 40_961, 50_890])
def test_commitments_of_updates_are_those_of_the_reference_library(dimension: int) -> None:
    q = draw_updates(dimension, 1, dimension)[0]
    lanes = (q.astype(np.int64) + 128).tolist()
    assert commit_update(shared_setup(), q) == reference_commitments(lanes)


@pytest.mark.parametrize("value", [-127, 0, 127])
def test_extreme_updates_commit_as_in_the_reference_library(value: int) -> None:
    q = np.full(40_960, value, np.int8)
    assert commit_update(shared_setup(), q) == reference_commitments([value + 128] * 40_960)


@CURVE
@given(seeds, st.integers(1, 3_000))
def test_commitments_of_lanes_are_those_of_the_reference_library(seed: int, count: int) -> None:
    lanes = np.random.default_rng(seed).integers(0, 2**24, count)
    lanes[::3] = 2**24 - 1
    lanes[count // 2 : count // 2 + 100] = 0
    assert commit_lanes(shared_setup(), lanes) == reference_commitments(lanes.tolist())


@CURVE
@given(st.lists(st.integers(0, 2**416 - 1), min_size=1, max_size=20))
def test_wide_elements_are_reduced_modulo_the_order(elements: list[int]) -> None:
    rows = np.frombuffer(b"".join(element.to_bytes(52, "little") for element in elements), np.uint8)
    point = commit_elements(shared_setup(), rows.reshape(-1, 52))
    assert compress(point) == reference_commitment(elements)


def test_lanes_of_zero_commit_to_infinity() -> None:
    assert commit_lanes(shared_setup(), np.zeros(40_961, np.int64)) == (INFINITY, INFINITY)


def test_nothing_has_no_commitments() -> None:
    assert commit_update(shared_setup(), np.zeros(0, np.int8)) == ()


def test_more_elements_than_a_blob_has_are_refused() -> None:
    with pytest.raises(SizeMismatchError):
        commit_elements(shared_setup(), np.zeros((4_097, 32), np.uint8))


@CURVE
@given(seeds, st.integers(0, 300), st.integers(0, 300))
def test_weighted_commitments_commit_to_weighted_lanes(seed: int, first: int, second: int) -> None:
    setup = shared_setup()
    a, b = draw_updates(seed, 2, 25)
    points = [decompress(commit_update(setup, q)[0]) for q in (a, b)]
    lanes = first * (a.astype(np.int64) + 128) + second * (b.astype(np.int64) + 128)
    total = multiply_points(points, make_scalars([first, second]))
    assert (compress(total),) == commit_lanes(setup, lanes)


def test_no_points_add_up_to_infinity() -> None:
    assert compress(multiply_points([], [])) == INFINITY


def test_points_without_multipliers_are_refused() -> None:
    with pytest.raises(SizeMismatchError):
        multiply_points([G1Point()], [])


def test_the_ceremony_file_must_be_the_pinned_one() -> None:
    data = setup_path().read_bytes()
    for other in (b"", data[:-1], data.replace(b"4096", b"4097", 1)):
        with pytest.raises(SetupError):
            load_setup(other)


def test_points_of_the_ceremony_are_on_the_curve_and_in_the_subgroup() -> None:
    points = shared_setup().points
    assert len(points) == 4_096
    assert all(point.is_in_subgroup() for point in points[::64])
    # The Lagrange polynomials add up to one, so their points add up to the generator.
    assert compress(multiply_points(points, make_scalars([1] * 4_096))) == compress(G1Point())


def test_a_commitment_is_read_and_written_unchanged() -> None:
    (commitment,) = commit_update(shared_setup(), draw_updates(7, 1, 30)[0])
    assert compress(decompress(commitment)) == commitment
    assert compress(decompress(INFINITY)) == INFINITY


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        INFINITY[:-1],
        INFINITY + b"\x00",
        bytes(48),  # not marked as compressed
        b"\xc0" + bytes(46) + b"\x01",  # infinity with stray bits
        b"\xe0" + bytes(47),  # infinity with a sign
        b"\xff" * 48,
        b"\x9f" + b"\xff" * 47,  # a coordinate above the field's order
        b"\x80" + bytes(46) + b"\x01",  # no point has this coordinate
    ],
)
def test_a_malformed_commitment_is_refused(malformed: bytes) -> None:
    with pytest.raises(CommitmentError):
        decompress(malformed)


def test_a_point_outside_the_subgroup_is_refused() -> None:
    stray = G1Point.from_compressed_bytes_unchecked(OUTSIDE_SUBGROUP)
    assert not stray.is_in_subgroup()
    with pytest.raises(CommitmentError):
        decompress(OUTSIDE_SUBGROUP)


@given(st.binary(min_size=48, max_size=48), st.sampled_from([0x00, 0x80, 0xA0, 0xC0, 0xE0]))
def test_bytes_are_a_canonical_point_or_refused(data: bytes, flags: int) -> None:
    marked = bytes([flags | data[0] & 0x1F]) + data[1:]
    try:
        point = decompress(marked)
    except CommitmentError:
        return
    assert compress(point) == marked
