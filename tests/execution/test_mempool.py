"""What waits in a node's mempool."""

from __future__ import annotations

from abci_app.mempool import ENTRY_LIFE_S, PendingClaims


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_claim_is_pending_until_a_block_settles_it() -> None:
    pending = PendingClaims()
    pending.add([b"a", b"b"])
    pending.settle([b"a", b"unknown"])
    assert (b"a" in pending, b"b" in pending) == (False, True)


def test_a_claim_that_no_block_settles_is_forgotten_after_a_while() -> None:
    clock = Clock()
    pending = PendingClaims(clock)
    pending.add([b"a"])
    clock.now = ENTRY_LIFE_S
    assert b"a" in pending
    clock.now += 1
    assert b"a" not in pending


def test_a_claim_that_was_forgotten_can_be_made_again() -> None:
    clock = Clock()
    pending = PendingClaims(clock)
    pending.add([b"a"])
    clock.now = ENTRY_LIFE_S + 1
    pending.add([b"a"])
    clock.now += ENTRY_LIFE_S
    assert b"a" in pending


def test_a_claim_that_is_made_again_does_not_live_longer() -> None:
    clock = Clock()
    pending = PendingClaims(clock)
    pending.add([b"a"])
    clock.now = ENTRY_LIFE_S / 2
    pending.add([b"a"])
    clock.now = ENTRY_LIFE_S + 1
    assert b"a" not in pending


def test_what_is_no_claim_is_not_pending() -> None:
    assert "a" not in PendingClaims()
