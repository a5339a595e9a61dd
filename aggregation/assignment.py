"""The Merkle tree of a shard's assignment in a round, and a participant's proof of its place in it.

The hub decides which participants train with which shard and sends each shard the root of its tree.  A
participant brings its leaf's path along with its update, so that a shard keeps no registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregation.merkle import merkle_path, merkle_root, verify_merkle_path
from tx.assignment import assignment_leaf
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence


def assignment_root(
    task: int, round_number: int, attempt: int, shard: str, participants: Sequence[bytes]
) -> bytes:
    """Return the root over the participants of a shard (chain id), in the order of the assignment."""
    return merkle_root(_list_leaves(task, round_number, attempt, shard, participants))


def assignment_proof(
    task: int, round_number: int, attempt: int, shard: str, participants: Sequence[bytes], *, index: int
) -> update_pb2.AssignmentProof:
    """Return the proof of the participant at an index of the assignment.

    Raises:
      MerklePathError: there is no participant of that index.

    """
    leaves = _list_leaves(task, round_number, attempt, shard, participants)
    path = merkle_path(leaves, index)
    return update_pb2.AssignmentProof(index=index, count=len(leaves), path=path)


def verify_assignment(
    root: bytes, proof: update_pb2.AssignmentProof, statement: update_pb2.UpdateStatement
) -> None:
    """Check that the statement's participant is assigned to the statement's shard, round and attempt.

    Raises:
      MerklePathError: the proof does not lead from that leaf to the root.

    """
    leaf = assignment_leaf(
        statement.task,
        statement.round,
        statement.attempt,
        statement.shard,
        proof.index,
        statement.participant,
    )
    verify_merkle_path(root, leaf, proof.index, proof.count, proof.path)


def _list_leaves(
    task: int, round_number: int, attempt: int, shard: str, participants: Sequence[bytes]
) -> list[bytes]:
    return [
        assignment_leaf(task, round_number, attempt, shard, index, participant)
        for index, participant in enumerate(participants)
    ]
