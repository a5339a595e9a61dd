"""The leaf that says which participant a shard trains with in a round."""

from __future__ import annotations

from tx.codec import encode
from tx.domains import ASSIGNMENT_LEAF
from wire.gradchain.fl.v1 import update_pb2


def assignment_leaf(
    task: int, round_number: int, attempt: int, shard: str, index: int, participant: bytes
) -> bytes:
    """Return the canonical encoding of a leaf of one shard's assignment tree.

    `shard` is the shard's chain id, `index` the participant's place in the tree, counted from zero.
    """
    return encode(
        update_pb2.AssignmentLeaf(
            domain=ASSIGNMENT_LEAF,
            task=task,
            round=round_number,
            attempt=attempt,
            shard=shard,
            index=index,
            participant=participant,
        )
    )
