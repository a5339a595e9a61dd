"""In which order a shard's updates of a round are weighed, and where the order is cut into batches.

Updates are ordered by a hash of the round's seed and their participant, so that nobody chooses with whom an update
is weighed.  The hub repeats the order to check a checkpoint's body.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from aggregation.constants import BATCH_LIMIT
from tx.domains import BATCH_ORDER

if TYPE_CHECKING:
    from collections.abc import Sequence


def batch_order(seed: bytes, participants: Sequence[bytes]) -> list[int]:
    """Return the indices of the participants (32-byte public keys) in batch order.

    `seed` is the round's seed of 32 bytes.  Ties cannot occur between distinct participants; equal ones keep their
    order.
    """
    keys = [sha256(BATCH_ORDER + seed + participant).digest() for participant in participants]
    return sorted(range(len(participants)), key=keys.__getitem__)


def batch_sizes(count: int) -> list[int]:
    """Return the sizes of the batches into which `count` ordered updates are cut: all full, but perhaps the last."""
    full, rest = divmod(count, BATCH_LIMIT)
    return [BATCH_LIMIT] * full + ([rest] if rest else [])
