from __future__ import annotations

import pytest

from aggregation import errors
from tx.errors import REGISTRY

LEAVES = [error for (codespace, _), error in sorted(REGISTRY.items()) if codespace == "aggregation"]


def test_codes_of_the_package_are_numbered_without_gaps() -> None:
    assert [error.CODE for error in LEAVES] == list(range(1, len(LEAVES) + 1))


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_every_error_states_its_cause_and_cure_and_stands_in_the_tree(error: type[Exception]) -> None:
    assert issubclass(error, errors.AggregationError)
    assert error.__doc__
    assert error.CURE
    assert f"|- {error.__name__} " in errors.__doc__ or f"`- {error.__name__} " in errors.__doc__


def test_an_error_shows_its_codespace_and_code() -> None:
    assert str(errors.MerklePathError("expected a, got b")) == "expected a, got b [aggregation/6]"
