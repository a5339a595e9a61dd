"""Checks of refusals that several modules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ibc import errors

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(expected: str, call: Callable[[], object]) -> None:
    """Check the whole message of a refusal."""
    with pytest.raises(errors.IbcError) as caught:
        call()
    assert caught.value.message == expected
