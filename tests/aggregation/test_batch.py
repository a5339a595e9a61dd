from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.batch import BlobClaim, are_all_true, verify_claims
from aggregation.kzg import commit_update, compress, decompress
from tests.support.aggregation import (
    CURVE,
    INFINITY,
    OUTSIDE_SUBGROUP,
    draw_updates,
    seeds,
    shared_setup,
)

LIES = ("blob", "commitment", "negative", "infinity", "malformed", "stray", "long")


def make_claims(seed: int, sizes: list[int]) -> list[BlobClaim]:
    """Build true claims on blobs of those sizes."""
    blobs = [draw_updates(seed + place, 1, size)[0] for place, size in enumerate(sizes)]
    return [BlobClaim(blob, commit_update(shared_setup(), blob)[0]) for blob in blobs]


def tell_lie(claim: BlobClaim, lie: str) -> BlobClaim:
    blob, commitment = np.array(claim.blob, np.int8), claim.commitment
    match lie:
        case "blob":
            blob[-1] += 1 if blob[-1] < 127 else -1
        case "commitment":
            commitment = commit_update(shared_setup(), np.array([1, 2, 3], np.int8))[0]
        case "negative":
            commitment = compress(-decompress(commitment))
        case "infinity":
            commitment = INFINITY
        case "malformed":
            commitment = bytes(48)
        case "stray":
            commitment = OUTSIDE_SUBGROUP
        case _:
            blob = np.zeros(40_961, np.int8)
    return BlobClaim(blob, commitment)


@CURVE
@given(
    seeds,
    st.lists(st.tuples(st.integers(10, 60), st.none() | st.sampled_from(LIES)), min_size=1, max_size=20),
)
def test_exactly_the_liars_are_found(seed: int, drawn: list[tuple[int, str | None]]) -> None:
    claims = make_claims(seed, [size for size, _ in drawn])
    told = [tell_lie(claim, lie) if lie else claim for claim, (_, lie) in zip(claims, drawn, strict=True)]
    assert verify_claims(shared_setup(), told) == [lie is None for _, lie in drawn]
    assert are_all_true(shared_setup(), told) == all(lie is None for _, lie in drawn)


@pytest.mark.parametrize("place", range(9))
def test_a_single_liar_is_found_at_any_place(place: int) -> None:
    claims = make_claims(5, [20] * 9)
    claims[place] = tell_lie(claims[place], "blob")
    assert verify_claims(shared_setup(), claims) == [index != place for index in range(9)]


def test_full_blobs_are_verified_and_their_liars_found() -> None:
    claims = make_claims(6, [40_960, 40_960, 9_930])
    assert verify_claims(shared_setup(), claims) == [True, True, True]
    claims[1] = tell_lie(claims[1], "blob")
    assert verify_claims(shared_setup(), claims) == [True, False, True]


def test_when_all_lie_all_are_found() -> None:
    claims = [tell_lie(claim, "blob") for claim in make_claims(7, [30] * 11)]
    assert verify_claims(shared_setup(), claims) == [False] * 11


def test_lies_that_cancel_each_other_are_found() -> None:
    setup = shared_setup()
    claims = make_claims(8, [30] * 4)
    shift = decompress(commit_update(setup, np.array([5], np.int8))[0])
    first, last = (decompress(claims[place].commitment) for place in (0, 3))
    claims[0] = BlobClaim(claims[0].blob, compress(first + shift))
    claims[3] = BlobClaim(claims[3].blob, compress(last - shift))
    assert verify_claims(setup, claims) == [False, True, True, False]


def test_swapped_commitments_are_found() -> None:
    a, b, c = make_claims(9, [30] * 3)
    swapped = [BlobClaim(a.blob, b.commitment), BlobClaim(b.blob, a.commitment), c]
    assert verify_claims(shared_setup(), swapped) == [False, False, True]


def test_a_shorter_blob_of_the_same_beginning_is_another_blob() -> None:
    (claim,) = make_claims(10, [30])
    assert verify_claims(shared_setup(), [BlobClaim(claim.blob[:-1], claim.commitment)]) == [False]


def test_the_same_claim_may_be_made_twice() -> None:
    claims = make_claims(11, [30]) * 3
    assert verify_claims(shared_setup(), claims) == [True] * 3


def test_bytes_are_taken_as_well_as_arrays() -> None:
    (claim,) = make_claims(12, [30])
    as_bytes = BlobClaim(np.asarray(claim.blob).tobytes(), claim.commitment)
    assert verify_claims(shared_setup(), [as_bytes, claim]) == [True, True]


def test_no_claims_have_no_verdicts() -> None:
    assert verify_claims(shared_setup(), []) == []
    assert are_all_true(shared_setup(), [])


def test_only_malformed_claims_are_all_false() -> None:
    claims = [BlobClaim(np.zeros(3, np.int8), b""), BlobClaim(np.zeros(40_961, np.int8), INFINITY)]
    assert verify_claims(shared_setup(), claims) == [False, False]


def test_an_empty_blob_is_committed_to_by_infinity_alone() -> None:
    empty = np.zeros(0, np.int8)
    (other,) = make_claims(13, [5])
    claims = [BlobClaim(empty, INFINITY), BlobClaim(empty, other.commitment), other]
    assert verify_claims(shared_setup(), claims) == [True, False, True]
