"""Keys of settlements in the bulk store.

| key | value |
|---|---|
| `settlement/treasury` | address of the account that gets what is left over |
| `settlement/due/` time task round | 1: settle the round when block time has reached that time |
| `settlement/pending/` task round | what the round has to pay, until it is settled |
| `settlement/paid/` task round | what it has paid, once it is settled |
| `settlement/carried/` task address | deliveries of a relayer that the round aggregated next has to pay |
| `settlement/relay/` address task round | what a relayer got for a round |
| `settlement/relayed/` address | what a relayer got for all rounds |

All numbers take eight bytes, big-endian.
"""

from __future__ import annotations

from typing import Final

TREASURY_KEY: Final = b"settlement/treasury"
DUE_PREFIX: Final = b"settlement/due/"
PENDING_PREFIX: Final = b"settlement/pending/"
PAID_PREFIX: Final = b"settlement/paid/"
CARRIED_PREFIX: Final = b"settlement/carried/"
RELAY_PREFIX: Final = b"settlement/relay/"
RELAYED_PREFIX: Final = b"settlement/relayed/"


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def due_key(time_ns: int, task: int, round_number: int) -> bytes:
    """Return the key that says when a round is settled."""
    return DUE_PREFIX + _number(time_ns) + _number(task) + _number(round_number)


def pending_key(task: int, round_number: int) -> bytes:
    """Return the key of what a round has to pay."""
    return PENDING_PREFIX + _number(task) + _number(round_number)


def paid_key(task: int, round_number: int) -> bytes:
    """Return the key of what a round has paid."""
    return PAID_PREFIX + _number(task) + _number(round_number)


def carried_prefix(task: int) -> bytes:
    """Return the prefix of all deliveries that a task's next aggregated round has to pay."""
    return CARRIED_PREFIX + _number(task)


def relay_prefix(account: bytes) -> bytes:
    """Return the prefix of what a relayer got, round by round."""
    return RELAY_PREFIX + account


def relay_key(account: bytes, task: int, round_number: int) -> bytes:
    """Return the key of what a relayer got for a round."""
    return relay_prefix(account) + _number(task) + _number(round_number)


def relayed_key(account: bytes) -> bytes:
    """Return the key of what a relayer got for all rounds."""
    return RELAYED_PREFIX + account
