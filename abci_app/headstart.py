"""Checking a proposal's updates while validators vote on it, instead of after they have decided.

A proposal is judged by its form alone (ADR 0008), so that no proposer and no voter is slow.  But it is likely to become
the block, and the costly checks do not depend on the outcome: they begin beside the votes, on a thread of their own, and
FinalizeBlock waits for their end.  What is found out goes into caches, so whether it was found ahead changes no outcome.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future


class HeadStart:
    """One check at a time; `begin` and `finish` are called by one thread."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="head-start")
        self._running: Future[None] | None = None
        self._subject: Sequence[bytes] = ()

    def begin(self, subject: Sequence[bytes], work: Callable[[], None]) -> None:
        """Begin to work on a subject, unless that was the last one, or there is none, or other work still runs."""
        is_busy = self._running is not None and not self._running.done()
        if not subject or subject == self._subject or is_busy:
            return
        self.finish()
        self._subject = subject
        self._running = self._worker.submit(work)

    def finish(self) -> None:
        """Wait for the end of what was begun; a defect in it is raised here."""
        running, self._running = self._running, None
        self._subject = ()
        if running is not None:
            running.result()
