"""Proofs of the store, judged by cosmos/ics23/go: what is true is accepted, everything else is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.state import PROVABLE, Overlay
from abci_app.store import open_store
from abci_app.trie import MAX_DEPTH
from tests.support.ics23_go import Question, ask
from tests.support.store import commit_overlay
from wire.cosmos.ics23.v1 import proofs_pb2
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from abci_app.snapshot import Snapshot

Mutation = Callable[[random.Random, proofs_pb2.ExistenceProof], None]


def packet_key(client: int, kind: int, sequence: int) -> bytes:
    return b"07-tendermint-%d" % client + bytes((kind,)) + sequence.to_bytes(8, "big")


def nested_keys(rng: random.Random, count: int) -> list[bytes]:
    """Return keys that share bits and are prefixes of each other."""
    return [bytes(rng.choices([0x00, 0x01, 0x61, 0x80, 0xFF], k=rng.randrange(1, 7))) for _ in range(count)]


def contents(rng: random.Random) -> Iterator[list[bytes]]:
    """Yield sets of keys of many sizes and shapes."""
    for size in (1, 2, 3, 4, 5, 8, 17, 40):
        yield nested_keys(rng, size)
    yield [packet_key(client, kind, n) for client in range(4) for kind in (1, 2, 3) for n in range(1, 40)]
    yield [rng.randbytes(32) for _ in range(300)]
    yield [b"k" * length for length in range(1, MAX_DEPTH + 2)]


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    """States with different contents, at successive heights of one store."""
    rng = random.Random(23)
    with open_store(tmp_path_factory.mktemp("proofs")) as store:
        found = []
        for keys in contents(rng):
            overlay = Overlay(store.latest())
            for key, _ in store.latest().scan(PROVABLE, b""):
                overlay.delete(PROVABLE, key)
            for key in keys:
                overlay.set(PROVABLE, key, rng.randbytes(rng.choice([1, 32, 200])))
            found.append(commit_overlay(store, overlay))
        return found


def absent_keys(rng: random.Random, snapshot: Snapshot) -> list[bytes]:
    """Return keys around the present ones, before the first and after the last."""
    present = [key for key, _ in snapshot.scan(PROVABLE, b"")]
    near = [b"\x00", b"\xff" * 9, *nested_keys(rng, 10)]
    for key in rng.sample(present, min(12, len(present))):
        near += [key + b"\x00", key + b"\xff", key[:-1], key[:-1] + bytes((key[-1] ^ 1,))]
    return [key for key in dict.fromkeys(near) if key and key not in present]


def question(snapshot: Snapshot, key: bytes) -> Question:
    """Return the true question about a key."""
    first, second = commitment_pb2.MerkleProof.FromString(snapshot.prove(key)).proofs
    proofs = (first.SerializeToString(), second.SerializeToString())
    return Question(snapshot.app_hash, b"provable", key, snapshot.get(PROVABLE, key), proofs)


def with_key_proof(asked: Question, proof: proofs_pb2.CommitmentProof) -> Question:
    return replace(asked, proofs=(proof.SerializeToString(), asked.proofs[1]))


def sample(rng: random.Random, snapshot: Snapshot, count: int) -> list[bytes]:
    present = [key for key, _ in snapshot.scan(PROVABLE, b"")]
    return rng.sample(present, min(count, len(present)))


def check_all_refused(questions: list[Question]) -> None:
    assert questions
    verdicts = ask(questions)
    accepted = [q for q, verdict in zip(questions, verdicts, strict=True) if verdict.accepted]
    assert accepted == []


def test_present_keys_are_accepted(snapshots: list[Snapshot]) -> None:
    questions = [question(s, key) for s in snapshots for key in sample(random.Random(1), s, 60)]
    assert len(questions) > 200
    assert [verdict for verdict in ask(questions) if not verdict.accepted] == []


def test_absent_keys_are_accepted(snapshots: list[Snapshot]) -> None:
    rng = random.Random(2)
    questions = [question(s, key) for s in snapshots for key in absent_keys(rng, s)]
    assert len(questions) > 200
    assert all(q.value is None for q in questions)
    assert [verdict for verdict in ask(questions) if not verdict.accepted] == []


def test_a_present_key_is_not_absent_and_an_absent_one_not_present(snapshots: list[Snapshot]) -> None:
    rng = random.Random(3)
    present = [question(s, key) for s in snapshots for key in sample(rng, s, 20)]
    absent = [question(s, key) for s in snapshots for key in absent_keys(rng, s)]
    check_all_refused([*(replace(q, value=None) for q in present), *(replace(q, value=b"v") for q in absent)])


def test_a_proof_of_another_key_value_store_or_root_is_refused(snapshots: list[Snapshot]) -> None:
    rng = random.Random(4)
    questions: list[Question] = []
    for snapshot, other in zip(snapshots, snapshots[1:] + snapshots[:1], strict=True):
        for key in sample(rng, snapshot, 8):
            asked = question(snapshot, key)
            questions += [
                replace(asked, value=(asked.value or b"") + b"\x00"),
                replace(asked, key=key + b"\x00"),
                replace(asked, store=b"bulk"),
                replace(asked, root=other.app_hash),
                replace(asked, proofs=(asked.proofs[0], question(other, sample(rng, other, 1)[0]).proofs[1])),
                replace(asked, proofs=(asked.proofs[1], asked.proofs[0])),
            ]
    check_all_refused(questions)


def test_an_absence_proof_does_not_cover_keys_beyond_its_neighbours(snapshots: list[Snapshot]) -> None:
    rng = random.Random(5)
    questions: list[Question] = []
    for snapshot in snapshots:
        for key in absent_keys(rng, snapshot):
            asked = question(snapshot, key)
            proof = proofs_pb2.CommitmentProof.FromString(asked.proofs[0]).nonexist
            for neighbour in (proof.left.key, proof.right.key):
                questions += [replace(asked, key=neighbour)] if neighbour else []
            if proof.left.key and proof.right.key:
                questions += [replace(asked, key=b"\x00"), replace(asked, key=b"\xff" * 40)]
    check_all_refused(questions)


def flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def change_value(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    proof.value = flip(rng, proof.value)


def change_key(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    proof.key = flip(rng, proof.key)


def change_leaf_version(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    proof.leaf.prefix = b"\x00\x02\x04"


def change_leaf_hash(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    proof.leaf.prehash_value = proofs_pb2.NO_HASH


def change_branch_prefix(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    op = rng.choice(proof.path)
    op.prefix = flip(rng, op.prefix)


def change_branch_hash(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    rng.choice(proof.path).hash = proofs_pb2.SHA512


def drop_branch(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    del proof.path[rng.randrange(len(proof.path))]


def repeat_branch(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    proof.path.append(proof.path[-1])


def change_side(rng: random.Random, proof: proofs_pb2.ExistenceProof) -> None:
    op = rng.choice(proof.path)
    if op.suffix:
        op.prefix, op.suffix = op.prefix + op.suffix[1:] + b"\x20", b""
    else:
        op.prefix, op.suffix = op.prefix[:-33], b"\x20" + op.prefix[-33:-1]


MUTATIONS: list[Mutation] = [
    change_value,
    change_key,
    change_leaf_version,
    change_leaf_hash,
    change_branch_prefix,
    change_branch_hash,
    drop_branch,
    repeat_branch,
    change_side,
]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_changed_proof_of_presence_is_refused(snapshots: list[Snapshot], mutate: Mutation) -> None:
    rng = random.Random(6)
    questions: list[Question] = []
    for snapshot in snapshots[1:]:
        for key in sample(rng, snapshot, 6):
            asked = question(snapshot, key)
            proof = proofs_pb2.CommitmentProof.FromString(asked.proofs[0])
            mutate(rng, proof.exist)
            questions += [with_key_proof(asked, proof)]
            questions += [replace(with_key_proof(asked, proof), key=proof.exist.key, value=proof.exist.value)]
    check_all_refused(questions)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_changed_proof_of_absence_is_refused(snapshots: list[Snapshot], mutate: Mutation) -> None:
    rng = random.Random(7)
    questions: list[Question] = []
    for snapshot in snapshots[1:]:
        for key in rng.sample(absent_keys(rng, snapshot), 6):
            asked = question(snapshot, key)
            proof = proofs_pb2.CommitmentProof.FromString(asked.proofs[0])
            sides = [side for side in ("left", "right") if proof.nonexist.HasField(side)]
            mutate(rng, getattr(proof.nonexist, rng.choice(sides)))
            questions += [with_key_proof(asked, proof)]
    check_all_refused(questions)


def test_absence_between_keys_that_are_not_neighbours_is_refused(snapshots: list[Snapshot]) -> None:
    rng = random.Random(8)
    questions: list[Question] = []
    for snapshot in snapshots[1:]:
        present = [key for key, _ in snapshot.scan(PROVABLE, b"")]
        for index in rng.sample(range(len(present)), min(10, len(present))):
            # hide one present key: claim that those around it are neighbours, or that it has none on one side
            asked = replace(question(snapshot, present[index]), value=None)
            sides = [
                present[index - 1] if index else None,
                present[index + 1] if index + 1 < len(present) else None,
            ]
            proofs = [
                proofs_pb2.CommitmentProof.FromString(question(snapshot, key).proofs[0]).exist
                if key
                else None
                for key in sides
            ]
            for left, right in ((proofs[0], proofs[1]), (proofs[0], None), (None, proofs[1])):
                absence = proofs_pb2.NonExistenceProof(key=present[index], left=left, right=right)
                questions += [with_key_proof(asked, proofs_pb2.CommitmentProof(nonexist=absence))]
    check_all_refused(questions)


def test_random_damage_never_makes_a_false_claim_true(snapshots: list[Snapshot]) -> None:
    rng = random.Random(9)
    questions: list[Question] = []
    for snapshot in snapshots:
        for key in sample(rng, snapshot, 10):
            asked = replace(question(snapshot, key), value=b"a lie")
            questions += [
                replace(asked, proofs=(flip(rng, asked.proofs[0]), asked.proofs[1])) for _ in range(5)
            ]
        for key in absent_keys(rng, snapshot)[:10]:
            asked = replace(question(snapshot, key), value=b"a lie")
            questions += [
                replace(asked, proofs=(flip(rng, asked.proofs[0]), asked.proofs[1])) for _ in range(5)
            ]
    check_all_refused(questions)
