"""Keys of the updates in the bulk store, and the names of their segments.

`id` is the twenty bytes of a round.

| key | value |
|---|---|
| `updates/record/` id participant | what the participant's slot was used for; kept for good |
| `updates/signed/` id participant | canonical `Update` without its payload; until the round is pruned |
| `updates/payload/` id payload-root | sha256 of the payload; until the round is pruned |

The payloads of a round are the blobs of one segment, so that they go at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tx.keys import PUBLIC_KEY_BYTES

if TYPE_CHECKING:
    from shards.rounds.types import RoundId


def record_prefix(round_id: RoundId) -> bytes:
    """Return the prefix of the records of a round."""
    return b"updates/record/" + round_id.encode()


def record_key(round_id: RoundId, participant: bytes) -> bytes:
    """Return the key of what a participant's slot was used for."""
    return record_prefix(round_id) + participant


def parse_record_key(key: bytes) -> bytes:
    """Return the participant of a `record_key`."""
    return key[-PUBLIC_KEY_BYTES:]


def signed_prefix(round_id: RoundId) -> bytes:
    """Return the prefix of the signed statements of a round."""
    return b"updates/signed/" + round_id.encode()


def signed_key(round_id: RoundId, participant: bytes) -> bytes:
    """Return the key of a participant's signed statement and assignment proof."""
    return signed_prefix(round_id) + participant


def payload_prefix(round_id: RoundId) -> bytes:
    """Return the prefix of a round's index of payloads."""
    return b"updates/payload/" + round_id.encode()


def payload_key(round_id: RoundId, payload_root: bytes) -> bytes:
    """Return the key that tells the digest of the payload with that root."""
    return payload_prefix(round_id) + payload_root


def payload_segment(round_id: RoundId) -> bytes:
    """Return the name of the segment that holds a round's payloads."""
    return b"updates" + round_id.encode()
