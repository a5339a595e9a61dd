from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.assignment import assignment_proof, assignment_root, verify_assignment
from aggregation.errors import MerklePathError
from aggregation.merkle import merkle_root
from tx.assignment import assignment_leaf
from wire.gradchain.fl.v1 import update_pb2

keys = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=12, unique=True)


def make_statement(participant: bytes, **changes: int | str) -> update_pb2.UpdateStatement:
    statement = update_pb2.UpdateStatement(
        task=3, round=7, attempt=1, shard="shard-1", participant=participant
    )
    for name, value in changes.items():
        setattr(statement, name, value)
    return statement


@given(keys)
def test_every_participant_proves_its_assignment(participants: list[bytes]) -> None:
    root = assignment_root(3, 7, 1, "shard-1", participants)
    for index, participant in enumerate(participants):
        proof = assignment_proof(3, 7, 1, "shard-1", participants, index=index)
        verify_assignment(root, proof, make_statement(participant))


@given(keys, st.data())
def test_a_proof_serves_no_other_participant(participants: list[bytes], data: st.DataObject) -> None:
    root = assignment_root(3, 7, 1, "shard-1", participants)
    index = data.draw(st.integers(0, len(participants) - 1))
    other = data.draw(st.binary(min_size=32, max_size=32).filter(lambda key: key != participants[index]))
    proof = assignment_proof(3, 7, 1, "shard-1", participants, index=index)
    with pytest.raises(MerklePathError):
        verify_assignment(root, proof, make_statement(other))


@pytest.mark.parametrize("changes", [{"task": 4}, {"round": 8}, {"attempt": 0}, {"shard": "shard-2"}])
def test_a_proof_serves_no_other_round_or_shard(changes: dict[str, int | str]) -> None:
    participants = [bytes([number]) * 32 for number in range(5)]
    root = assignment_root(3, 7, 1, "shard-1", participants)
    proof = assignment_proof(3, 7, 1, "shard-1", participants, index=2)
    with pytest.raises(MerklePathError):
        verify_assignment(root, proof, make_statement(participants[2], **changes))


def test_an_index_other_than_the_proven_one_is_refused() -> None:
    participants = [bytes(32)] * 4
    root = assignment_root(3, 7, 1, "shard-1", participants)
    proof = assignment_proof(3, 7, 1, "shard-1", participants, index=2)
    proof.index = 3
    with pytest.raises(MerklePathError):
        verify_assignment(root, proof, make_statement(participants[2]))


def test_nobody_assigned_proves_nothing() -> None:
    root = assignment_root(3, 7, 1, "shard-1", [])
    with pytest.raises(MerklePathError):
        verify_assignment(root, update_pb2.AssignmentProof(), make_statement(bytes(32)))


def test_leaves_stand_in_the_order_of_the_assignment() -> None:
    participants = [bytes([number]) * 32 for number in (9, 1, 5)]
    leaves = [assignment_leaf(3, 7, 1, "shard-1", i, key) for i, key in enumerate(participants)]
    assert assignment_root(3, 7, 1, "shard-1", participants) == merkle_root(leaves)
