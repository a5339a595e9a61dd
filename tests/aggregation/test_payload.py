from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.errors import MerklePathError, PayloadRangeError, PayloadSizeError, SizeMismatchError
from aggregation.merkle import merkle_root
from aggregation.payload import (
    blob_count,
    decode_payload,
    encode_payload,
    payload_path,
    payload_root,
    split_blobs,
    verify_blob,
)
from tests.support.aggregation import draw_updates, updates


@given(updates())
def test_a_payload_decodes_to_the_update_it_encodes(q: np.ndarray) -> None:
    payload = encode_payload(q)
    assert payload == b"".join(int(value).to_bytes(1, "little", signed=True) for value in q)
    assert np.array_equal(decode_payload(payload, q.size), q)


@pytest.mark.parametrize(
    ("dimension", "count"), [(0, 0), (1, 1), (40_960, 1), (40_961, 2), (50_890, 2), (1_200_000, 30)]
)
def test_blobs_are_counted_up(dimension: int, count: int) -> None:
    assert blob_count(dimension) == count
    assert len(split_blobs(bytes(dimension))) == count


def test_a_negative_dimension_has_no_blobs() -> None:
    with pytest.raises(SizeMismatchError):
        blob_count(-1)


def test_only_the_last_blob_is_short() -> None:
    payload = draw_updates(1, 1, 50_890).tobytes()
    blobs = split_blobs(payload)
    assert [len(blob) for blob in blobs] == [40_960, 9_930]
    assert b"".join(blobs) == payload


@given(updates(), st.integers(-3, 3).filter(bool))
def test_a_payload_of_another_size_is_refused(q: np.ndarray, difference: int) -> None:
    with pytest.raises(PayloadSizeError):
        decode_payload(q.tobytes(), q.size + difference)


@given(updates(), st.data())
def test_the_value_without_a_negative_is_out_of_range(q: np.ndarray, data: st.DataObject) -> None:
    spoiled = q.copy()
    spoiled[data.draw(st.integers(0, q.size - 1))] = -128
    with pytest.raises(PayloadRangeError):
        decode_payload(spoiled.tobytes(), q.size)
    with pytest.raises(PayloadRangeError):
        encode_payload(spoiled)


def test_a_matrix_is_no_payload() -> None:
    with pytest.raises(SizeMismatchError):
        encode_payload(np.zeros((2, 3), np.int8))


def test_the_payload_root_is_over_the_digests_of_the_blobs() -> None:
    payload = draw_updates(2, 1, 90_000).tobytes()
    assert payload_root(payload) == merkle_root([sha256(blob).digest() for blob in split_blobs(payload)])


@pytest.mark.parametrize("index", range(3))
def test_a_blob_verifies_by_itself(index: int) -> None:
    payload = draw_updates(3, 1, 90_000).tobytes()
    blob = split_blobs(payload)[index]
    path = payload_path(payload, index)
    verify_blob(payload_root(payload), blob, index, 3, path)
    with pytest.raises(MerklePathError):
        verify_blob(payload_root(payload), blob[:-1], index, 3, path)
