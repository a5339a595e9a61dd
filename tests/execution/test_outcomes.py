"""What a node remembers of transactions for those who wait for them, and how much of it."""

from __future__ import annotations

from hashlib import sha256

from abci_app.context import Event
from abci_app.execution import UPDATE_REFUSED, TxResult
from abci_app.outcomes import CAPACITY, MAX_REFUSALS, OutcomeIndex


def name(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def refusing(count: int) -> TxResult:
    """Return the result of a bundle of which so many updates were refused."""
    return TxResult(events=(Event(UPDATE_REFUSED, (("index", "0"),)),) * count)


def test_the_oldest_outcomes_are_forgotten() -> None:
    index = OutcomeIndex()
    index.record(1, {name(number): TxResult() for number in range(CAPACITY)})
    index.record(2, {name(CAPACITY): TxResult()})
    assert index.get(name(0)) is None
    assert index.get(name(1)) is not None
    assert index.get(name(CAPACITY)) is not None


def test_outcomes_with_many_refusals_are_forgotten_sooner() -> None:
    """A bundle of six kilobytes can have a thousand refusals, each of which takes as much as it has bytes."""
    index = OutcomeIndex()
    share = MAX_REFUSALS // 4
    for number in range(6):
        index.record(number + 1, {name(number): refusing(share)})
    assert [index.get(name(number)) is not None for number in range(6)] == [False, False, *[True] * 4]


def test_the_newest_block_is_remembered_whatever_was_refused_in_it() -> None:
    index = OutcomeIndex()
    index.record(1, {name(0): refusing(5)})
    index.record(2, {name(1): refusing(MAX_REFUSALS), name(2): refusing(1)})
    assert index.get(name(0)) is None
    found = [index.get(name(number)) for number in (1, 2)]
    assert [0 if outcome is None else len(outcome.result.events) for outcome in found] == [MAX_REFUSALS, 1]
    index.record(3, {name(3): TxResult()})
    assert index.get(name(1)) is None
    assert index.get(name(2)) is not None


def test_a_transaction_that_comes_again_counts_once() -> None:
    index = OutcomeIndex()
    for height in range(1, 10):
        index.record(height, {name(0): refusing(MAX_REFUSALS // 2)})
    index.record(10, {name(1): refusing(MAX_REFUSALS // 2)})
    assert index.get(name(0)) is not None


def test_events_that_nobody_asks_for_are_not_remembered() -> None:
    """A packet's event holds all of the packet."""
    index = OutcomeIndex()
    refused = Event(UPDATE_REFUSED, (("index", "1"), ("log", "expected more, got less")))
    index.record(1, {name(0): TxResult(code=3, data=b"\x01", events=(Event("recv_packet", ()), refused))})
    outcome = index.get(name(0))
    assert outcome is not None
    assert outcome.result == TxResult(code=3, data=b"\x01", events=(refused,))
