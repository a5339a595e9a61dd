"""How many calls may wait for a block at once.

A gRPC call holds a thread of the server until it is answered.  Calls that wait for a block hold theirs for up to a
minute, so they may have only a part of the threads: queries are answered whatever waits.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from abci_app.errors import TooManyWaiting

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WAITING: Final = 128
"""Calls of one node that wait for a block at the same time."""


class WaitingRoom:
    """Places for calls that wait; one room a node, shared by all its services."""

    def __init__(self, places: int = MAX_WAITING) -> None:
        self._places = places
        self._free = BoundedSemaphore(places)

    @contextmanager
    def hold_place(self) -> Iterator[None]:
        """Hold a place while the caller waits.

        Raises:
          TooManyWaiting: all are taken.

        """
        if not self._free.acquire(blocking=False):
            raise TooManyWaiting(
                f"expected fewer than {self._places} calls that wait for a block, got that many already"
            )
        try:
            yield
        finally:
            self._free.release()
