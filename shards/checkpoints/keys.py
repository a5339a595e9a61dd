"""Keys of the checkpoints in the bulk store, and the names of their segments.

`id` is the twenty bytes of a round.

| key | value |
|---|---|
| `checkpoints/header/` id | canonical `Checkpoint` |
| `checkpoints/delivery/` id | status, height, sequence of the packet |
| `checkpoints/parts/` id | sha256 of every part of the body, joined; until the round is pruned |

The parts of a body are the blobs of one segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shards.rounds.types import RoundId


def header_key(round_id: RoundId) -> bytes:
    """Return the key of a checkpoint's header."""
    return b"checkpoints/header/" + round_id.encode()


def delivery_key(round_id: RoundId) -> bytes:
    """Return the key of where a checkpoint stands on its way."""
    return b"checkpoints/delivery/" + round_id.encode()


def parts_key(round_id: RoundId) -> bytes:
    """Return the key of the digests of a body's parts."""
    return b"checkpoints/parts/" + round_id.encode()


def body_segment(round_id: RoundId) -> bytes:
    """Return the name of the segment that holds the parts of a round's body."""
    return b"body" + round_id.encode()
