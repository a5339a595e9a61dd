"""Who trains with which shard: a function of the round's seed.

The seed depends on the block that opens the round, so that nobody knows it before; it only spreads participants, and
whoever withholds a block gains no more than another spread.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tx.domains import ASSIGNMENT_ORDER, ROUND_SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.rounds.types import RoundId


def derive_seed(chain_id: str, round_id: RoundId, block_hash: bytes) -> bytes:
    """Return the seed of an attempt, 32 bytes.

    The chain id enters by its digest, so that every field has a fixed width.
    """
    return sha256(
        ROUND_SEED
        + sha256(chain_id.encode()).digest()
        + round_id.task.to_bytes(8, "big")
        + round_id.round.to_bytes(8, "big")
        + round_id.attempt.to_bytes(4, "big")
        + block_hash
    ).digest()


def order_participants(seed: bytes, participants: Sequence[bytes]) -> list[bytes]:
    """Return the participants in the order in which they are assigned; whoever is sampled stands in front."""
    return sorted(
        participants, key=lambda participant: sha256(ASSIGNMENT_ORDER + seed + participant).digest()
    )


def cut_groups(participants: Sequence[bytes], count: int) -> list[Sequence[bytes]]:
    """Cut ordered participants in at most `count` groups, larger ones first, sizes differing by at most one.

    There is no empty group: with fewer participants than groups, each is a group of its own.
    """
    small, larger = divmod(len(participants), max(1, count))
    groups = []
    start = 0
    for index in range(min(count, len(participants))):
        size = small + (index < larger)
        groups.append(participants[start : start + size])
        start += size
    return groups
