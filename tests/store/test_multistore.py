from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.multistore import chain_proofs, hash_stores, prove_store
from abci_app.trie import Trie
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from wire.cosmos.ics23.v1 import proofs_pb2

ROOTS = st.dictionaries(
    st.text(alphabet="abcxyz", min_size=1, max_size=4),
    st.binary(min_size=32, max_size=32),
    min_size=1,
    max_size=9,
)


def leaf(name: bytes, root: bytes) -> bytes:
    return sha256(b"\x00" + bytes((len(name),)) + name + b"\x20" + sha256(root).digest()).digest()


def calculate(proof: proofs_pb2.ExistenceProof) -> bytes:
    """Follow a proof to its root."""
    digest = leaf(proof.key, proof.value)
    for op in proof.path:
        digest = sha256(op.prefix + digest + op.suffix).digest()
    return digest


def test_the_app_hash_of_two_stores_is_one_branch_over_their_leaves() -> None:
    bulk, provable = bytes(32), bytes([1]) * 32
    expected = sha256(b"\x01" + leaf(b"bulk", bulk) + leaf(b"provable", provable)).digest()
    assert hash_stores({"provable": provable, "bulk": bulk}) == expected


@settings(deadline=None)
@given(ROOTS)
def test_every_store_is_proved_under_the_app_hash(roots: dict[str, bytes]) -> None:
    for name, root in roots.items():
        proof = prove_store(roots, name).exist
        assert (proof.key, proof.value) == (name.encode(), root)
        assert calculate(proof) == hash_stores(roots)


@settings(deadline=None)
@given(ROOTS)
def test_the_order_of_stores_does_not_matter(roots: dict[str, bytes]) -> None:
    assert hash_stores(dict(reversed(roots.items()))) == hash_stores(roots)


def test_an_unknown_store_has_no_proof() -> None:
    with pytest.raises(ValueError, match="got other"):
        prove_store({"bulk": bytes(32)}, "other")


def test_no_stores_have_no_app_hash() -> None:
    with pytest.raises(ValueError, match="at least one store"):
        hash_stores({})


def test_a_chained_proof_starts_at_the_key() -> None:
    trie = Trie.EMPTY.set(b"key", b"value")
    roots = {"bulk": bytes(32), "provable": trie.root()}
    chained = commitment_pb2.MerkleProof.FromString(
        chain_proofs(trie.prove(b"key"), prove_store(roots, "provable"))
    )
    assert [proof.exist.key for proof in chained.proofs] == [b"key", b"provable"]
