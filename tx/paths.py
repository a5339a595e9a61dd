"""Keys of the provable store of the hub that others verify proofs for.

Each key has a fixed prefix and numbers of fixed width, so that no key is a prefix of another one.

| key | value |
|---|---|
| `model/` task | root of the newest model |
| `round/` task round attempt | sha256 of the canonical `RoundInfo` |
| `result/` task round | sha256 of the canonical `RoundResult` |
| `settlement/` task round | root of the settlement tree |

Task and round take eight bytes, attempt four, all big-endian.
"""

from __future__ import annotations


def model_root_key(task: int) -> bytes:
    """Return the key of the root of a task's newest model."""
    return b"model/" + task.to_bytes(8, "big")


def round_info_key(task: int, round_number: int, attempt: int) -> bytes:
    """Return the key of the digest of a round's opening record."""
    return b"round/" + task.to_bytes(8, "big") + round_number.to_bytes(8, "big") + attempt.to_bytes(4, "big")


def round_result_key(task: int, round_number: int) -> bytes:
    """Return the key of the digest of a round's outcome."""
    return b"result/" + task.to_bytes(8, "big") + round_number.to_bytes(8, "big")


def settlement_root_key(task: int, round_number: int) -> bytes:
    """Return the key of the root of a round's settlement tree."""
    return b"settlement/" + task.to_bytes(8, "big") + round_number.to_bytes(8, "big")
