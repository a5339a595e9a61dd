from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.multistore import chain_proofs, hash_stores, prove_store
from abci_app.trie import Trie
from ibc import errors
from ibc.commitment import build_merkle_path, verify_chained_membership, verify_chained_non_membership
from ibc.proof_spec import DEFAULT_SPECS, IAVL_SPEC
from wire.cosmos.ics23.v1 import proofs_pb2

TRIE = Trie.build([(b"key 1", b"value 1"), (b"key 3", b"value 3"), (b"key 5", b"value 5")])
ROOTS = {"bulk": b"\x11" * 32, "provable": TRIE.root()}
ROOT = hash_stores(ROOTS)
OUTER = prove_store(ROOTS, "provable")
PATH = (b"provable", b"key 3")
PROOF = chain_proofs(TRIE.prove(b"key 3"), OUTER)


def test_a_key_in_a_store_is_shown() -> None:
    verify_chained_membership(DEFAULT_SPECS, ROOT, PROOF, PATH, b"value 3")


def test_an_absent_key_in_a_store_is_shown() -> None:
    proof = chain_proofs(TRIE.prove(b"key 2"), OUTER)
    verify_chained_non_membership(DEFAULT_SPECS, ROOT, proof, (b"provable", b"key 2"))


def test_a_single_tree_has_a_path_of_one_key() -> None:
    path = build_merkle_path([b""], b"key 3")
    verify_chained_membership([IAVL_SPEC], TRIE.root(), chain_proofs(TRIE.prove(b"key 3")), path, b"value 3")


def test_an_absence_in_a_single_tree_is_shown() -> None:
    proof = chain_proofs(TRIE.prove(b"key 2"))
    verify_chained_non_membership([IAVL_SPEC], TRIE.root(), proof, (b"key 2",))


def test_the_key_is_appended_to_the_last_element_of_the_prefix() -> None:
    assert build_merkle_path([b"provable", b""], b"key") == (b"provable", b"key")
    assert build_merkle_path([b"a", b"b/"], b"key") == (b"a", b"b/key")


def test_a_prefix_without_elements_is_refused() -> None:
    expected = "expected a Merkle prefix of at least one element, got none"
    with pytest.raises(errors.ProofCountMismatch, match=expected):
        build_merkle_path([], b"key")


def test_nothing_is_shown_in_no_tree() -> None:
    """Else the value itself would pass for the root."""
    with pytest.raises(errors.ProofCountMismatch):
        verify_chained_membership([], b"root", chain_proofs(), (), b"root")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ((b"provable", b"key 1"), b"value 3", errors.ProofKeyMismatch),
        ((b"bulk", b"key 3"), b"value 3", errors.ProofKeyMismatch),
        (PATH, b"value 1", errors.ProofValueMismatch),
        (PATH, b"", errors.EmptyKeyOrValue),
        ((b"provable",), b"value 3", errors.ProofCountMismatch),
        ((b"a", *PATH), b"value 3", errors.ProofCountMismatch),
    ],
)
def test_another_path_or_value_is_refused(
    path: tuple[bytes, ...], value: bytes, expected: type[errors.IbcError]
) -> None:
    with pytest.raises(expected):
        verify_chained_membership(DEFAULT_SPECS, ROOT, PROOF, path, value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((b"bulk", b"key 2"), errors.ProofKeyMismatch),
        ((b"a", b"provable", b"key 2"), errors.ProofCountMismatch),
        ((b"key 2",), errors.ProofCountMismatch),
    ],
    ids=["another store", "one more element", "the key alone"],
)
def test_an_absence_below_another_path_is_refused(
    path: tuple[bytes, ...], expected: type[errors.IbcError]
) -> None:
    """cardano-ibc-incubator#802: only the last element was looked at."""
    with pytest.raises(expected):
        verify_chained_non_membership(DEFAULT_SPECS, ROOT, chain_proofs(TRIE.prove(b"key 2"), OUTER), path)


@pytest.mark.parametrize("root", [b"", bytes(32), TRIE.root()])
def test_another_root_shows_no_absence(root: bytes) -> None:
    proof = chain_proofs(TRIE.prove(b"key 2"), OUTER)
    with pytest.raises(errors.RootMismatch):
        verify_chained_non_membership(DEFAULT_SPECS, root, proof, (b"provable", b"key 2"))


@pytest.mark.parametrize("root", [b"", bytes(32), TRIE.root()])
def test_another_root_is_refused(root: bytes) -> None:
    with pytest.raises(errors.RootMismatch):
        verify_chained_membership(DEFAULT_SPECS, root, PROOF, PATH, b"value 3")


@pytest.mark.parametrize(
    "proofs",
    [
        (),
        (TRIE.prove(b"key 3"),),
        (TRIE.prove(b"key 3"), OUTER, OUTER),
    ],
)
def test_there_is_one_proof_for_each_tree(proofs: tuple[proofs_pb2.CommitmentProof, ...]) -> None:
    with pytest.raises(errors.ProofCountMismatch):
        verify_chained_membership(DEFAULT_SPECS, ROOT, chain_proofs(*proofs), PATH, b"value 3")


def test_bytes_that_are_no_proof_are_refused() -> None:
    with pytest.raises(errors.MalformedProof):
        verify_chained_membership(DEFAULT_SPECS, ROOT, b"\xff", PATH, b"value 3")


def test_an_absence_in_the_inner_tree_shows_no_value() -> None:
    with pytest.raises(errors.WrongProofKind):
        verify_chained_membership(
            DEFAULT_SPECS,
            ROOT,
            chain_proofs(TRIE.prove(b"key 2"), OUTER),
            (b"provable", b"key 2"),
            b"value 3",
        )


def _absent_store() -> proofs_pb2.CommitmentProof:
    nonexist = proofs_pb2.NonExistenceProof(left=prove_store(ROOTS, "bulk").exist, right=OUTER.exist)
    return proofs_pb2.CommitmentProof(nonexist=nonexist)


def test_an_absence_in_an_outer_tree_shows_nothing() -> None:
    with pytest.raises(errors.WrongProofKind):
        verify_chained_membership(
            DEFAULT_SPECS, ROOT, chain_proofs(TRIE.prove(b"key 3"), _absent_store()), PATH, b"value 3"
        )
    with pytest.raises(errors.WrongProofKind):
        verify_chained_non_membership(
            DEFAULT_SPECS, ROOT, chain_proofs(TRIE.prove(b"key 2"), _absent_store()), (b"provable", b"key 2")
        )


def test_an_existence_shows_no_absence() -> None:
    with pytest.raises(errors.WrongProofKind):
        verify_chained_non_membership(DEFAULT_SPECS, ROOT, PROOF, PATH)


def test_an_absence_in_another_store_is_refused() -> None:
    proof = chain_proofs(TRIE.prove(b"key 2"), prove_store(ROOTS, "bulk"))
    with pytest.raises(errors.ProofKeyMismatch):
        verify_chained_non_membership(DEFAULT_SPECS, ROOT, proof, (b"provable", b"key 2"))


def test_an_absence_in_a_tree_of_another_root_is_refused() -> None:
    other = Trie.build([(b"key 1", b"x"), (b"key 3", b"y")])
    with pytest.raises(errors.ProofValueMismatch):
        verify_chained_non_membership(
            DEFAULT_SPECS, ROOT, chain_proofs(other.prove(b"key 2"), OUTER), (b"provable", b"key 2")
        )


@given(st.data())
def test_a_changed_proof_shows_nothing_else(data: st.DataObject) -> None:
    encoded = bytearray(PROOF)
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.IbcError):
        verify_chained_membership(DEFAULT_SPECS, ROOT, bytes(encoded), PATH, b"value 3")
