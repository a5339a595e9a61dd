from __future__ import annotations

import pytest

from aggregation.merkle import merkle_path, merkle_paths


@pytest.mark.parametrize("count", range(20))
def test_all_paths_at_once_are_those_made_one_by_one(count: int) -> None:
    leaves = [bytes([index]) for index in range(count)]
    assert merkle_paths(leaves) == [merkle_path(leaves, index) for index in range(count)]
