"""Keys of the rounds in the bulk store.

`id` is task, round and attempt in 8 + 8 + 4 bytes, big-endian.

| key | value |
|---|---|
| `rounds/opened/` id | canonical `RoundOpened` |
| `rounds/progress/` id | status, accepted, spent |
| `rounds/live/` id | 0x01: open, or closed with the checkpoint still to be sent |
| `rounds/newest/` id with complemented round and attempt | 0x01: a task's rounds, newest first |
| `rounds/retire/` time id | 0x01: when payloads go at the latest, 8 bytes of Unix nanoseconds |
"""

from __future__ import annotations

from typing import Final

from shards.rounds.types import RoundId

LIVE_PREFIX: Final = b"rounds/live/"
RETIRE_PREFIX: Final = b"rounds/retire/"
PRESENT: Final = b"\x01"
"""Value of keys that only have to exist: no value may be empty."""

_NEWEST_PREFIX: Final = b"rounds/newest/"
_LAST_ROUND: Final = 2**64 - 1
_LAST_ATTEMPT: Final = 2**32 - 1


def opened_key(round_id: RoundId) -> bytes:
    """Return the key of a round's opening."""
    return b"rounds/opened/" + round_id.encode()


def progress_key(round_id: RoundId) -> bytes:
    """Return the key of a round's progress."""
    return b"rounds/progress/" + round_id.encode()


def live_key(round_id: RoundId) -> bytes:
    """Return the key that marks a round as one that blocks have to look at."""
    return LIVE_PREFIX + round_id.encode()


def parse_live_key(key: bytes) -> RoundId:
    """Return the round of a `live_key`."""
    return RoundId.decode(key[len(LIVE_PREFIX) :])


def newest_prefix(task: int) -> bytes:
    """Return the prefix under which a task's rounds stand, newest first."""
    return _NEWEST_PREFIX + task.to_bytes(8, "big")


def newest_key(round_id: RoundId) -> bytes:
    """Return the key by which a task's rounds sort newest first."""
    return _NEWEST_PREFIX + _complement(round_id).encode()


def parse_newest_key(key: bytes) -> RoundId:
    """Return the round of a `newest_key`."""
    return _complement(RoundId.decode(key[len(_NEWEST_PREFIX) :]))


def retire_key(time_ns: int, round_id: RoundId) -> bytes:
    """Return the key that says when a round's payloads go at the latest."""
    return RETIRE_PREFIX + time_ns.to_bytes(8, "big") + round_id.encode()


def parse_retire_key(key: bytes) -> tuple[int, RoundId]:
    """Return time and round of a `retire_key`."""
    start = len(RETIRE_PREFIX)
    return int.from_bytes(key[start : start + 8], "big"), RoundId.decode(key[start + 8 :])


def _complement(round_id: RoundId) -> RoundId:
    return RoundId(round_id.task, _LAST_ROUND - round_id.number, _LAST_ATTEMPT - round_id.attempt)
