from __future__ import annotations

import numpy as np
import pytest

from aggregation.batch import BlobClaim, verify_claims
from aggregation.constants import PARAMS_PER_BLOB
from aggregation.kzg import commit_update
from aggregation.payload import split_blobs
from bench.material import Content, draw_contents
from tests.support.aggregation import shared_setup


def draw(parameters: int, count: int) -> list[Content]:
    return list(draw_contents(shared_setup(), parameters, count))


@pytest.mark.parametrize("parameters", [25, PARAMS_PER_BLOB + 7])
def test_every_commitment_is_true(parameters: int) -> None:
    claims = [
        BlobClaim(blob, commitment)
        for content in draw(parameters, 6)
        for blob, commitment in zip(split_blobs(content.payload), content.commitments, strict=True)
    ]
    assert all(verify_claims(shared_setup(), claims))


def test_a_sum_is_committed_to_like_any_update() -> None:
    content = draw(25, 1)[0]
    assert content.commitments == commit_update(shared_setup(), np.frombuffer(content.payload, np.int8))


def test_all_updates_differ_and_are_in_range() -> None:
    contents = draw(25, 30)
    assert len({content.payload for content in contents}) == 30
    assert all(np.frombuffer(content.payload, np.int8).min() >= -126 for content in contents)


def test_as_many_are_drawn_as_are_asked_for() -> None:
    assert [len(draw(3, count)) for count in (0, 1, 2, 4, 11)] == [0, 1, 2, 4, 11]
