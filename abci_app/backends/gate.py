"""A gate that keeps a database open while a thread is inside one of its calls."""

from __future__ import annotations

from threading import Condition
from typing import TYPE_CHECKING

from abci_app.errors import StoreClosed

if TYPE_CHECKING:
    from types import TracebackType


class Gate:
    """Counts the threads inside; closing lets nobody in and waits until the last one has left.

    The database libraries free their memory on close whether or not another thread is reading, which would end the
    process without a word.  The lock may be taken again by the thread that holds it, because the garbage collector
    can run a reader's end in the middle of another call.
    """

    __slots__ = ("_closed", "_condition", "_inside")

    def __init__(self) -> None:
        self._condition = Condition()
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._condition:
            if self._closed:
                raise StoreClosed("expected an open store, got one that was closed")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._condition:
            self._inside -= 1
            if self._closed and not self._inside:
                self._condition.notify_all()

    def close(self) -> bool:
        """Let nobody in any more and wait until nobody is inside; return whether this call was the first."""
        with self._condition:
            first = not self._closed
            self._closed = True
            self._condition.wait_for(lambda: not self._inside)
            return first
