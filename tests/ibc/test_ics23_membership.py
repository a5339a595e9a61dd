from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from abci_app.multistore import hash_stores, prove_store
from abci_app.trie import Trie
from ibc import errors
from ibc.ics23 import DEFAULT_MAX_DEPTH, _read_varint, verify_membership
from ibc.proof_spec import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC
from ibc.protowire import encode_uvarint
from tests.support.ibc import encode
from tests.support.proofs import fold
from wire.cosmos.ics23.v1 import proofs_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = [(b"key %02d" % number, b"value %d" % number) for number in range(20)]
KEY, VALUE = ITEMS[7]
TRIE = Trie.build(ITEMS)
STORES = {"bulk": b"\x11" * 32, "provable": b"\x22" * 32, "third": b"\x33" * 32}


def make_proof() -> proofs_pb2.CommitmentProof:
    proof = proofs_pb2.CommitmentProof()
    proof.CopyFrom(TRIE.prove(KEY))
    return proof


def make_store_proof() -> proofs_pb2.CommitmentProof:
    return prove_store(STORES, "provable")


def verify(proof: proofs_pb2.CommitmentProof, key: bytes = KEY, value: bytes = VALUE) -> None:
    verify_membership(IAVL_SPEC, TRIE.root(), encode(proof), key, value)


def verify_store(proof: proofs_pb2.CommitmentProof) -> None:
    verify_membership(TENDERMINT_SPEC, hash_stores(STORES), encode(proof), b"provable", STORES["provable"])


@given(st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=40), min_size=1))
def test_every_key_of_a_tree_can_be_shown(pairs: dict[bytes, bytes]) -> None:
    trie = Trie.build(sorted(pairs.items()))
    for key, value in pairs.items():
        verify_membership(IAVL_SPEC, trie.root(), encode(trie.prove(key)), key, value)


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(min_size=32, max_size=32), min_size=1)
)
def test_every_store_of_a_simple_map_can_be_shown(stores: dict[str, bytes]) -> None:
    for name, root in stores.items():
        proof = encode(prove_store(stores, name))
        verify_membership(TENDERMINT_SPEC, hash_stores(stores), proof, name.encode(), root)


def test_a_proof_of_another_key_is_refused() -> None:
    with pytest.raises(errors.ProofKeyMismatch):
        verify(make_proof(), key=ITEMS[8][0])


def test_a_proof_of_another_value_is_refused() -> None:
    with pytest.raises(errors.ProofValueMismatch):
        verify(make_proof(), value=b"another")


def test_a_proof_for_another_root_is_refused() -> None:
    with pytest.raises(errors.RootMismatch):
        verify_membership(IAVL_SPEC, bytes(32), encode(make_proof()), KEY, VALUE)


def test_a_proof_without_leaf_is_refused() -> None:
    proof = make_proof()
    proof.exist.ClearField("leaf")
    with pytest.raises(errors.MalformedProof):
        verify(proof)


@pytest.mark.parametrize("name", ["key", "value"])
def test_a_proof_with_an_empty_key_or_value_is_refused(name: str) -> None:
    proof = make_proof()
    proof.exist.ClearField(name)  # type: ignore[arg-type]
    with pytest.raises(errors.EmptyKeyOrValue):
        verify(proof, key=proof.exist.key, value=proof.exist.value)


def test_bytes_that_are_no_proof_are_refused() -> None:
    with pytest.raises(errors.MalformedProof):
        verify_membership(IAVL_SPEC, TRIE.root(), b"\xff\xff", KEY, VALUE)


def test_an_encoding_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(errors.MalformedProof):
        verify_membership(IAVL_SPEC, TRIE.root(), encode(make_proof()) + b"\x28\x01", KEY, VALUE)


@pytest.mark.parametrize(
    "proof",
    [
        proofs_pb2.CommitmentProof(
            batch=proofs_pb2.BatchProof(entries=[proofs_pb2.BatchEntry(exist=TRIE.prove(KEY).exist)])
        ),
        proofs_pb2.CommitmentProof(compressed=proofs_pb2.CompressedBatchProof()),
    ],
    ids=["batch", "compressed"],
)
def test_batch_and_compressed_proofs_are_refused(proof: proofs_pb2.CommitmentProof) -> None:
    with pytest.raises(errors.UnsupportedProof):
        verify(proof)


@pytest.mark.parametrize(
    "proof", [TRIE.prove(b"key 07a"), proofs_pb2.CommitmentProof()], ids=["absence", "nothing"]
)
def test_only_a_proof_of_existence_shows_existence(proof: proofs_pb2.CommitmentProof) -> None:
    kind = "nonexist" if proof.HasField("nonexist") else "an empty proof"
    with pytest.raises(errors.WrongProofKind, match=f"^expected a proof of existence, got {kind} "):
        verify(proof)


def _set_leaf(name: str, value: int) -> Callable[[proofs_pb2.ExistenceProof], None]:
    return lambda proof: setattr(proof.leaf, name, value)


def _set_leaf_prefix(prefix: bytes) -> Callable[[proofs_pb2.ExistenceProof], None]:
    return lambda proof: setattr(proof.leaf, "prefix", prefix)


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(_set_leaf("hash", proofs_pb2.NO_HASH), id="hash"),
        pytest.param(_set_leaf("hash", proofs_pb2.SHA512), id="another hash"),
        pytest.param(_set_leaf("prehash_key", proofs_pb2.SHA256), id="prehash of the key"),
        pytest.param(_set_leaf("prehash_value", proofs_pb2.NO_HASH), id="prehash of the value"),
        pytest.param(_set_leaf("length", proofs_pb2.NO_PREFIX), id="length"),
        pytest.param(_set_leaf_prefix(b""), id="no prefix"),
        pytest.param(_set_leaf_prefix(b"\x01\x02\x02"), id="prefix of no leaf"),
        pytest.param(_set_leaf_prefix(b"\x00\x04\x02"), id="IAVL size other than one"),
        pytest.param(_set_leaf_prefix(b"\x00\x02\x02\x20"), id="IAVL prefix with a remainder"),
        pytest.param(_set_leaf_prefix(b"\x00\x02"), id="IAVL prefix cut off"),
        pytest.param(_set_leaf_prefix(b"\x00\x02\x01"), id="IAVL version negative"),
        pytest.param(_set_leaf_prefix(b"\x00\x02\x82\x00"), id="IAVL varint too long"),
        pytest.param(_set_leaf_prefix(b"\x00\x02" + b"\xfe" * 9 + b"\x03"), id="IAVL varint over 64 bits"),
        pytest.param(_set_leaf_prefix(b"\x00\x02" + b"\x80" * 12), id="IAVL varint without end"),
    ],
)
def test_a_leaf_must_hash_as_the_spec_says(mutate: Callable[[proofs_pb2.ExistenceProof], None]) -> None:
    proof = make_proof()
    mutate(proof.exist)
    with pytest.raises(errors.LeafMismatch):
        verify(proof)


def test_an_iavl_leaf_has_no_height_whatever_the_leaf_prefix_is() -> None:
    proof = make_proof()
    proof.exist.leaf.prefix = b"\x02\x02\x02"
    with pytest.raises(
        errors.LeafMismatch, match="expected an IAVL leaf of height 0 and size 1, got prefix 020202"
    ):
        verify_membership(replace(IAVL_SPEC, leaf_prefix=b"\x02"), TRIE.root(), encode(proof), KEY, VALUE)


def test_a_leaf_holds_the_value_itself_where_the_spec_says_so() -> None:
    spec = replace(IAVL_SPEC, prehash_value=False)
    leaf = proofs_pb2.LeafOp(hash=proofs_pb2.SHA256, length=proofs_pb2.VAR_PROTO, prefix=b"\x00")
    proof = encode(
        proofs_pb2.CommitmentProof(exist=proofs_pb2.ExistenceProof(key=b"key", value=b"value", leaf=leaf))
    )
    verify_membership(spec, sha256(b"\x00\x03key\x05value").digest(), proof, b"key", b"value")


def _zigzag(number: int) -> bytes:
    return encode_uvarint(number << 1)


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=3), st.binary(max_size=3))
@example((1 << 63) - 1, b"", b"")
@example(1 << 62, b"", b"")
def test_a_varint_of_an_iavl_prefix_is_read_wherever_it_stands(
    number: int, before: bytes, after: bytes
) -> None:
    end = len(before) + len(_zigzag(number))
    assert _read_varint(before + _zigzag(number) + after, len(before)) == (number, end)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80", id="cut off"),
        pytest.param(b"\x80\x00", id="padded"),
        pytest.param(b"\x81\x01", id="negative"),
        pytest.param(_zigzag(1 << 63), id="too large"),
        pytest.param(b"\x80" * 10 + b"\x01", id="too long"),
    ],
)
def test_a_varint_that_no_tree_writes_is_not_read(data: bytes) -> None:
    assert _read_varint(data, 0) is None


def _edit_inner(
    place: int, edit: Callable[[bytes, bytes], tuple[bytes, bytes]]
) -> proofs_pb2.CommitmentProof:
    proof = make_proof()
    node = proof.exist.path[place]
    node.prefix, node.suffix = edit(node.prefix, node.suffix)
    return proof


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param(_edit_inner(0, lambda p, s: (b"\x00" + p[1:], s)), id="starts as a leaf does"),
        pytest.param(_edit_inner(0, lambda p, s: (p[:3], s)), id="prefix too short"),
        pytest.param(_edit_inner(0, lambda p, s: (p + bytes(60), s)), id="prefix too long"),
        pytest.param(_edit_inner(0, lambda p, s: (p, s + b"\x00")), id="suffix no multiple of a child"),
        pytest.param(_edit_inner(0, lambda p, s: (p, bytes(66))), id="suffix of two children"),
        pytest.param(_edit_inner(0, lambda p, s: (p[:4] + bytes(33), bytes(33))), id="child on both sides"),
        pytest.param(_edit_inner(0, lambda p, s: (p[:4], b"")), id="no sibling"),
        pytest.param(_edit_inner(1, lambda p, s: (b"\x02" + p[1:], s)), id="IAVL height below the layer"),
        pytest.param(_edit_inner(0, lambda p, s: (p[:1] + b"\x03" + p[2:], s)), id="IAVL size negative"),
        pytest.param(_edit_inner(0, lambda p, s: (p[:2] + b"\x05" + p[3:], s)), id="IAVL version negative"),
        pytest.param(_edit_inner(0, lambda p, s: (p[:3] + b"\x20" + p[3:], s)), id="IAVL remainder"),
    ],
)
def test_an_inner_node_must_be_one_of_the_spec(proof: proofs_pb2.CommitmentProof) -> None:
    with pytest.raises(errors.InnerMismatch):
        verify(proof)


def test_the_rest_of_an_iavl_prefix_is_the_length_of_a_hash_or_a_child_more() -> None:
    proof = _edit_inner(0, lambda prefix, suffix: (prefix[:3] + b"\x20" + prefix[3:], suffix))
    with pytest.raises(errors.InnerMismatch, match="expected 1 or 34 bytes after the IAVL varints, got 35 "):
        verify(proof)


def test_an_inner_node_must_hash_as_the_spec_says() -> None:
    proof = make_proof()
    proof.exist.path[0].hash = proofs_pb2.SHA512
    with pytest.raises(errors.InnerMismatch):
        verify(proof)


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        pytest.param(b"\x02", bytes(32), id="prefix other than 0x01"),
        pytest.param(b"\x02" + bytes(32), b"", id="prefix other than 0x01 before a left child"),
        pytest.param(b"\x01\x01", bytes(32), id="prefix longer than 0x01"),
        pytest.param(b"\x01" + bytes(32), bytes(32), id="child on both sides"),
        pytest.param(b"", bytes(32), id="no prefix"),
        pytest.param(b"\x00", bytes(32), id="prefix of a leaf"),
    ],
)
def test_a_simple_map_has_inner_nodes_of_one_form_only(prefix: bytes, suffix: bytes) -> None:
    """Whatever root such a node leads to: an attacker may well have made the tree."""
    proof = make_store_proof()
    proof.exist.path[0].prefix, proof.exist.path[0].suffix = prefix, suffix
    with pytest.raises(errors.InnerMismatch):
        verify_membership(
            TENDERMINT_SPEC, fold(proof.exist), encode(proof), proof.exist.key, proof.exist.value
        )


def test_an_inner_node_that_starts_as_a_leaf_is_refused_where_the_tree_has_no_rules_of_its_own() -> None:
    leaf = proofs_pb2.LeafOp(
        hash=proofs_pb2.SHA256,
        prehash_key=proofs_pb2.SHA256,
        prehash_value=proofs_pb2.SHA256,
        prefix=b"\x00",
    )
    node = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x00", suffix=bytes(32))
    proof = proofs_pb2.CommitmentProof(
        exist=proofs_pb2.ExistenceProof(key=b"key", value=b"value", leaf=leaf, path=[node])
    )
    leaf_hash = sha256(b"\x00" + sha256(b"key").digest() + sha256(b"value").digest()).digest()
    root = sha256(node.prefix + leaf_hash + node.suffix).digest()
    with pytest.raises(errors.InnerMismatch, match="got 00, which starts as a leaf's does"):
        verify_membership(SMT_SPEC, root, encode(proof), b"key", b"value")


def test_a_simple_map_has_leaves_of_one_form_only() -> None:
    proof = make_store_proof()
    proof.exist.leaf.prefix = b"\x01"
    with pytest.raises(errors.LeafMismatch):
        verify_store(proof)


def test_a_simple_map_proof_verifies() -> None:
    verify_store(make_store_proof())


def test_at_most_128_inner_nodes_are_followed() -> None:
    proof = make_proof()
    proof.exist.path.extend([proof.exist.path[0]] * 125)
    with pytest.raises(errors.DepthOutOfRange):
        verify(proof)


def test_a_spec_may_bound_the_depth() -> None:
    depth = len(make_proof().exist.path)
    verify_membership(replace(IAVL_SPEC, max_depth=depth), TRIE.root(), encode(make_proof()), KEY, VALUE)
    with pytest.raises(errors.DepthOutOfRange):
        verify_membership(
            replace(IAVL_SPEC, max_depth=depth - 1), TRIE.root(), encode(make_proof()), KEY, VALUE
        )


@pytest.mark.parametrize("nodes", [DEFAULT_MAX_DEPTH, DEFAULT_MAX_DEPTH + 1])
def test_the_bound_of_128_inner_nodes_can_be_reached(nodes: int) -> None:
    proof = make_store_proof()
    node = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01", suffix=bytes(32))
    proof.exist.path.extend([node] * (nodes - len(proof.exist.path)))
    with pytest.raises(errors.RootMismatch if nodes == 128 else errors.DepthOutOfRange):
        verify_store(proof)


def test_a_spec_may_ask_for_a_depth() -> None:
    with pytest.raises(errors.DepthOutOfRange):
        verify_membership(replace(IAVL_SPEC, min_depth=20), TRIE.root(), encode(make_proof()), KEY, VALUE)


def test_an_inner_node_cannot_be_shown_as_a_leaf() -> None:
    """The children of a node as key and value: what an attacker would like to prove."""
    proof = make_proof()
    node = proof.exist.path[0]
    forged = proofs_pb2.CommitmentProof(
        exist=proofs_pb2.ExistenceProof(
            key=b"\x01" * 32,
            value=b"\x02" * 32,
            leaf=proofs_pb2.LeafOp(
                hash=proofs_pb2.SHA256,
                prehash_value=proofs_pb2.SHA256,
                length=proofs_pb2.VAR_PROTO,
                prefix=node.prefix[:3],
            ),
            path=proof.exist.path[1:],
        )
    )
    with pytest.raises(errors.LeafMismatch):
        verify(forged, key=b"\x01" * 32, value=b"\x02" * 32)


@given(st.data())
def test_a_changed_proof_shows_nothing_else(data: st.DataObject) -> None:
    encoded = bytearray(encode(make_proof()))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.IbcError):
        verify_membership(IAVL_SPEC, TRIE.root(), bytes(encoded), KEY, VALUE)
