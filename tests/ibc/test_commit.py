from __future__ import annotations

from contextlib import suppress

from ibc.commit import MAX_SLOTS, commit_from_wire
from ibc.errors import MalformedCommit
from tests.support.steps import count_calls
from wire.tendermint.types import types_pb2, validator_pb2

ABSENT = types_pb2.CommitSig(block_id_flag=validator_pb2.BLOCK_ID_FLAG_ABSENT)


def test_a_commit_of_more_slots_than_there_can_be_is_refused_without_looking_at_them() -> None:
    def parse(count: int) -> int:
        block_id = types_pb2.BlockID(hash=b"h" * 32)
        message = types_pb2.Commit(height=1, block_id=block_id, signatures=[ABSENT] * count)

        def work() -> None:
            with suppress(MalformedCommit):
                commit_from_wire(message)

        return count_calls(work)

    assert parse(MAX_SLOTS + 1) < parse(MAX_SLOTS) // 100
