"""Keys of rounds in the bulk store.

| key | value |
|---|---|
| `rounds/newest/` task round | newest attempt of the round, four bytes |
| `rounds/info/` id | canonical `RoundInfo` |
| `rounds/round/` id | what changes about the attempt |
| `rounds/result/` task round | canonical `RoundResult` |
| `rounds/assigned/` id shard | addresses of the shard's participants, joined |
| `rounds/shard/` id shard | what changes about the shard in the attempt |
| `rounds/part/` id shard index | a part of a body that is not verified yet |
| `rounds/tally/` id shard | certificates of a verified body, until they are folded |
| `rounds/aggregate/` id shard | encoded aggregate of a verified body, until it is folded |
| `rounds/tail/` id shard | 1: the round is aggregated, and may still get this shard's body |

`id` is task and round in eight bytes each and the attempt in four; an index takes four; all are big-endian.  A shard is
its chain id with its length in one byte before it, so that no shard's keys begin with those of another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hub.rounds.types import RoundId

NEWEST_PREFIX: Final = b"rounds/newest/"
INFO_PREFIX: Final = b"rounds/info/"
ROUND_PREFIX: Final = b"rounds/round/"
RESULT_PREFIX: Final = b"rounds/result/"
ASSIGNED_PREFIX: Final = b"rounds/assigned/"
SHARD_PREFIX: Final = b"rounds/shard/"
PART_PREFIX: Final = b"rounds/part/"
TALLY_PREFIX: Final = b"rounds/tally/"
AGGREGATE_PREFIX: Final = b"rounds/aggregate/"
TAIL_PREFIX: Final = b"rounds/tail/"


def task_round(task: int, round_number: int) -> bytes:
    """Return the part of a key that names a round."""
    return task.to_bytes(8, "big") + round_number.to_bytes(8, "big")


def id_bytes(round_id: RoundId) -> bytes:
    """Return the part of a key that names an attempt of a round."""
    return task_round(round_id.task, round_id.round) + round_id.attempt.to_bytes(4, "big")


def id_and_shard(round_id: RoundId, shard: str) -> bytes:
    """Return the part of a key that names a shard in an attempt of a round."""
    name = shard.encode()
    return id_bytes(round_id) + len(name).to_bytes(1, "big") + name


def tail_prefix(task: int) -> bytes:
    """Return the prefix of all shards that may still deliver for aggregated rounds of a task."""
    return TAIL_PREFIX + task.to_bytes(8, "big")


def parts_prefix(round_id: RoundId, shard: str) -> bytes:
    """Return the prefix of the parts of a shard's body."""
    return PART_PREFIX + id_and_shard(round_id, shard)


def part_key(round_id: RoundId, shard: str, index: int) -> bytes:
    """Return the key of a part of a shard's body."""
    return parts_prefix(round_id, shard) + index.to_bytes(4, "big")
