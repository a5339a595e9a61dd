from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from aggregation.errors import PayloadRangeError, PayloadSizeError, SizeMismatchError
from aggregation.gram import decode_gram, encode_gram, gram_matrix
from tests.support.aggregation import draw_updates, update_matrices


@given(update_matrices())
def test_inner_products_are_those_of_integers(updates: np.ndarray) -> None:
    rows = [[int(value) for value in row] for row in updates]
    products = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    assert gram_matrix(updates).tolist() == products


@pytest.mark.parametrize("dimension", [1_039, 1_040, 1_041, 2_080, 50_890])
def test_extremes_are_exact_at_the_ends_of_a_chunk(dimension: int) -> None:
    updates = np.full((4, dimension), 127, np.int8)
    updates[1] = -127
    updates[2, ::2] = -127
    updates[3, 1:] = 126
    expected = updates.astype(np.int64) @ updates.astype(np.int64).T
    assert np.array_equal(gram_matrix(updates), expected)


def test_a_large_batch_is_exact() -> None:
    updates = draw_updates(4, 128, 5_003)
    wide = updates.astype(np.int64)
    assert np.array_equal(gram_matrix(updates), wide @ wide.T)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_empty_batches_and_empty_updates_are_defined(shape: tuple[int, int]) -> None:
    gram = gram_matrix(np.zeros(shape, np.int8))
    assert gram.tolist() == [[0] * shape[0]] * shape[0]


def test_values_that_would_not_be_exact_are_refused() -> None:
    with pytest.raises(PayloadRangeError):
        gram_matrix(np.array([[0, -128]], np.int8))


def test_one_update_is_no_matrix() -> None:
    with pytest.raises(SizeMismatchError):
        gram_matrix(np.zeros(3, np.int8))


@given(update_matrices())
def test_a_gram_matrix_decodes_to_what_was_encoded(updates: np.ndarray) -> None:
    gram = gram_matrix(updates)
    assert np.array_equal(decode_gram(encode_gram(gram), len(gram)), gram)


def test_the_encoding_is_the_upper_triangle_row_by_row() -> None:
    gram = np.array([[1, -2, 3], [-2, 4, 5], [3, 5, 6]], np.int64)
    numbers = [1, -2, 3, 4, 5, 6]
    assert encode_gram(gram) == b"".join(number.to_bytes(8, "big", signed=True) for number in numbers)


def test_a_matrix_that_is_not_symmetric_is_refused() -> None:
    for matrix in (np.array([[1, 2], [3, 4]]), np.zeros((2, 3), np.int64), np.zeros(2, np.int64)):
        with pytest.raises(SizeMismatchError):
            encode_gram(matrix)


@pytest.mark.parametrize("size", [0, 23, 25, 32])
def test_bytes_of_another_count_are_refused(size: int) -> None:
    with pytest.raises(PayloadSizeError):
        decode_gram(bytes(size), 2)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(SizeMismatchError):
        decode_gram(b"", -1)
