from __future__ import annotations

import pytest

from abci_app.closing import Closing


class Door(Closing):
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


def test_a_with_block_closes_at_its_end() -> None:
    with Door() as door:
        before = door.closed
    assert (before, door.closed) == (0, 1)


def test_a_with_block_that_fails_closes_and_tells_why() -> None:
    door = Door()
    with pytest.raises(ValueError, match="inside"), door:
        raise ValueError("inside")
    assert door.closed == 1
