"""What events need, whichever module emits them."""

from __future__ import annotations

from typing import Protocol


class Emitter(Protocol):
    """The part of a context that takes events."""

    def emit(self, kind: str, **attributes: str) -> None:
        """Append an event."""
