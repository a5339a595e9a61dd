"""Outcomes of recent transactions on this node, for those who wait for them.

CometBFT's transaction index is off (it would store every payload twice), so the application remembers the outcomes
itself.  They are kept in memory: after a restart a client asks the state instead, which is what counts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Condition
from typing import TYPE_CHECKING, Final

from abci_app.execution import MAX_CLAIMS, UPDATE_REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.execution import TxResult

CAPACITY: Final = 50_000
"""Transactions whose outcomes are remembered."""

MAX_REFUSALS: Final = 2 * MAX_CLAIMS
"""Refused updates that are remembered, unless the newest block alone has more: a few bytes can make one, which takes
a kilobyte of memory."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a block made of a transaction."""

    height: int
    result: TxResult


class OutcomeIndex:
    """Outcomes by the sha256 of the transaction.

    Of their events only refusals of updates are kept: who sent one of a bundle asks for its own.
    """

    def __init__(self) -> None:
        self._outcomes: OrderedDict[bytes, Outcome] = OrderedDict()
        self._refusals = 0
        self._changed = Condition()
        self._height = 0

    def record(self, height: int, outcomes: Mapping[bytes, TxResult]) -> None:
        """Remember the outcomes of a committed block and wake those who wait."""
        with self._changed:
            self._height = height
            for tx_hash, result in outcomes.items():
                self._forget(tx_hash)
                kept = replace(
                    result, events=tuple(event for event in result.events if event.kind == UPDATE_REFUSED)
                )
                self._outcomes[tx_hash] = Outcome(height, kept)
                self._refusals += len(kept.events)
            while len(self._outcomes) > CAPACITY or self._refusals > MAX_REFUSALS:
                oldest = next(iter(self._outcomes))
                if self._outcomes[oldest].height == height:
                    break
                self._forget(oldest)
            self._changed.notify_all()

    def _forget(self, tx_hash: bytes) -> None:
        outcome = self._outcomes.pop(tx_hash, None)
        if outcome is not None:
            self._refusals -= len(outcome.result.events)

    def get(self, tx_hash: bytes) -> Outcome | None:
        """Return the outcome of a transaction, or None while it is unknown."""
        with self._changed:
            return self._outcomes.get(tx_hash)

    def wait(self, tx_hash: bytes, timeout_s: float) -> Outcome | None:
        """Wait until a block holds the transaction; None when the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: tx_hash in self._outcomes, timeout_s)
            return self._outcomes.get(tx_hash)

    def wait_height(self, height: int, timeout_s: float) -> int:
        """Wait until this node has committed the height; return the last committed one."""
        with self._changed:
            self._changed.wait_for(lambda: self._height >= height, timeout_s)
            return self._height
