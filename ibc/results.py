"""What a relayed message did."""

from __future__ import annotations

from enum import Enum


class RelayResult(Enum):
    """Numbers as in ibc-go's `ResponseResultType`."""

    NOOP = 1
    """Somebody else was faster; nothing changed."""
    SUCCESS = 2
    FAILURE = 3
    """Received, but an application refused it: the error acknowledgement was written."""
