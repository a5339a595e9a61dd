"""What waits in this node's mempool, by what it claims: bodies, and (round, participant) of updates.

Node-local: it only keeps CheckTx from taking the same thing twice.  An entry leaves when a block settles it, or
after a while, because CometBFT does not tell the application what it evicts.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENTRY_LIFE_S = 120.0
"""Longer than a transaction is likely to wait, and no longer than the default life of one."""


class PendingClaims:
    """Claims of transactions that passed CheckTx and are not in a block yet."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._added: dict[bytes, float] = {}
        self._lock = Lock()

    def __contains__(self, claim: object) -> bool:
        """Tell whether a claim is still pending."""
        horizon = self._now() - ENTRY_LIFE_S
        with self._lock:
            added = self._added.get(claim) if isinstance(claim, bytes) else None
        return added is not None and added >= horizon

    def add(self, claims: Iterable[bytes]) -> None:
        """Remember the claims of a transaction that passed CheckTx."""
        now = self._now()
        with self._lock:
            while self._added:
                oldest = next(iter(self._added))
                if self._added[oldest] >= now - ENTRY_LIFE_S:
                    break
                del self._added[oldest]
            for claim in claims:
                self._added.setdefault(claim, now)

    def settle(self, claims: Iterable[bytes]) -> None:
        """Forget what a block settled."""
        with self._lock:
            for claim in claims:
                self._added.pop(claim, None)
