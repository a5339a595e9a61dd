from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from abci_app.trie import Trie
from ibc import errors
from ibc.ics23 import _check_neighbours, _place_of, verify_non_membership
from ibc.proof_spec import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC, ProofSpec
from tests.support.ibc import encode
from wire.cosmos.ics23.v1 import proofs_pb2

KEYS = [b"key %02d" % number for number in range(0, 40, 2)]
TRIE = Trie.build((key, b"value of " + key) for key in KEYS)
EMPTY = bytes(32)


def exist(key: bytes, trie: Trie = TRIE) -> proofs_pb2.ExistenceProof:
    return trie.prove(key).exist


def absent(
    left: proofs_pb2.ExistenceProof | None, right: proofs_pb2.ExistenceProof | None
) -> proofs_pb2.CommitmentProof:
    return proofs_pb2.CommitmentProof(nonexist=proofs_pb2.NonExistenceProof(left=left, right=right))


def verify(proof: proofs_pb2.CommitmentProof, key: bytes, trie: Trie = TRIE) -> None:
    verify_non_membership(IAVL_SPEC, trie.root(), encode(proof), key)


@given(st.sets(st.binary(min_size=1, max_size=4), min_size=1, max_size=30), st.binary(min_size=1, max_size=4))
def test_every_absent_key_can_be_shown_to_be_absent(keys: set[bytes], key: bytes) -> None:
    assume(key not in keys)
    trie = Trie.build((present, b"value") for present in sorted(keys))
    verify(trie.prove(key), key, trie)


@given(st.sets(st.sampled_from(KEYS), min_size=0, max_size=2), st.sampled_from(KEYS))
def test_no_pair_of_leaves_shows_a_present_key_to_be_absent(pair: set[bytes], key: bytes) -> None:
    """The Dragonberry forgeries: a receipt that exists would be shown as missing."""
    for left in (None, *pair):
        for right in (None, *pair):
            proof = absent(None if left is None else exist(left), None if right is None else exist(right))
            with pytest.raises(errors.IbcError):
                verify(proof, key)


def test_leaves_that_are_not_next_to_each_other_are_refused() -> None:
    with pytest.raises(errors.NotNeighbours):
        verify(absent(exist(KEYS[3]), exist(KEYS[5])), KEYS[4])


@pytest.mark.parametrize(
    ("left", "right", "key"),
    [
        pytest.param(None, KEYS[1], b"key 01", id="a first leaf that is not the first"),
        pytest.param(KEYS[-2], None, b"key 99", id="a last leaf that is not the last"),
        pytest.param(None, KEYS[-1], b"key 37", id="the last leaf as the first"),
        pytest.param(KEYS[0], None, b"key 01", id="the first leaf as the last"),
    ],
)
def test_a_single_neighbour_must_be_at_the_edge(left: bytes | None, right: bytes | None, key: bytes) -> None:
    proof = absent(None if left is None else exist(left), None if right is None else exist(right))
    with pytest.raises(errors.NotNeighbours):
        verify(proof, key)


@pytest.mark.parametrize(
    ("left", "right", "key"),
    [
        pytest.param(KEYS[3], KEYS[4], KEYS[4], id="equal to the right one"),
        pytest.param(KEYS[3], KEYS[4], KEYS[3], id="equal to the left one"),
        pytest.param(KEYS[3], KEYS[4], b"key 99", id="above both"),
        pytest.param(KEYS[3], KEYS[4], b"key", id="below both"),
        pytest.param(KEYS[4], KEYS[3], b"key 07", id="neighbours exchanged"),
        pytest.param(None, KEYS[0], b"key 01", id="above a lone right one"),
        pytest.param(KEYS[-1], None, b"key 01", id="below a lone left one"),
    ],
)
def test_the_key_must_lie_strictly_between_its_neighbours(
    left: bytes | None, right: bytes | None, key: bytes
) -> None:
    proof = absent(None if left is None else exist(left), None if right is None else exist(right))
    with pytest.raises(errors.KeyNotBetween):
        verify(proof, key)


def test_a_proof_without_neighbours_is_refused() -> None:
    with pytest.raises(errors.MalformedProof):
        verify(absent(None, None), b"key 01")


def test_neighbours_of_different_trees_are_refused() -> None:
    other = Trie.build((key, b"other") for key in KEYS)
    with pytest.raises(errors.RootMismatch):
        verify(absent(exist(KEYS[3]), exist(KEYS[4], other)), b"key 07")


def test_both_neighbours_are_checked_against_the_root() -> None:
    proof = TRIE.prove(b"key 07")
    with pytest.raises(errors.RootMismatch):
        verify_non_membership(IAVL_SPEC, bytes(32), encode(proof), b"key 07")


def test_both_neighbours_are_checked_against_the_spec() -> None:
    proof = absent(exist(KEYS[3]), exist(KEYS[4]))
    proof.nonexist.right.path[0].prefix = b"\x00" + proof.nonexist.right.path[0].prefix[1:]
    with pytest.raises(errors.InnerMismatch):
        verify(proof, b"key 07")


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(errors.EmptyKeyOrValue):
        verify(absent(None, exist(KEYS[0])), b"")


def test_a_tree_of_two_leaves_has_an_inside_and_two_edges() -> None:
    trie = Trie.build([(b"b", b"1"), (b"d", b"2")])
    for key in (b"a", b"c", b"e"):
        verify(trie.prove(key), key, trie)


def test_a_tree_of_one_leaf_has_two_edges() -> None:
    trie = Trie.build([(b"b", b"1")])
    for key in (b"a", b"c"):
        verify(trie.prove(key), key, trie)


def test_one_leaf_as_both_neighbours_is_refused() -> None:
    trie = Trie.build([(b"b", b"1")])
    with pytest.raises(errors.KeyNotBetween):
        verify(absent(exist(b"b", trie), exist(b"b", trie)), b"c", trie)


def _leaf(spec: ProofSpec, key: bytes, value: bytes) -> bytes:
    if spec is SMT_SPEC:
        return sha256(b"\x00" + sha256(key).digest() + sha256(value).digest()).digest()
    return sha256(b"\x00" + bytes([len(key)]) + key + b"\x20" + sha256(value).digest()).digest()


def _exist(
    spec: ProofSpec, key: bytes, value: bytes, path: list[tuple[bytes, bytes]]
) -> proofs_pb2.ExistenceProof:
    leaf = proofs_pb2.LeafOp(
        hash=proofs_pb2.SHA256,
        prehash_key=proofs_pb2.SHA256 if spec is SMT_SPEC else proofs_pb2.NO_HASH,
        prehash_value=proofs_pb2.SHA256,
        length=proofs_pb2.NO_PREFIX if spec is SMT_SPEC else proofs_pb2.VAR_PROTO,
        prefix=b"\x00",
    )
    steps = [
        proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=prefix, suffix=suffix) for prefix, suffix in path
    ]
    return proofs_pb2.ExistenceProof(key=key, value=value, leaf=leaf, path=steps)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_path_that_contains_the_other_is_refused(extra: int) -> None:
    """Two such paths never lead to one root, so only the rule itself can be asked; Go's runs past their end."""
    common = list(exist(KEYS[3]).path)
    longer = [
        proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x02\x04\x02\x20", suffix=bytes(33))
    ] * extra
    for left, right in ((list(common), longer + common), (longer + common, list(common))):
        with pytest.raises(errors.NotNeighbours):
            _check_neighbours(IAVL_SPEC, left, right)


@pytest.mark.parametrize("part", ["prefix", "suffix"])
def test_paths_that_differ_in_one_part_of_a_node_part_there(part: str) -> None:
    """Below they would be neighbours; they only are if all that is above is the same."""
    below = [
        proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01", suffix=bytes(32)),
        proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01" + bytes(32)),
    ]
    above = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01", suffix=bytes(32))
    other = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01", suffix=bytes(32))
    setattr(other, part, {"prefix": b"\x02", "suffix": bytes(31) + b"\x01"}[part])
    _check_neighbours(TENDERMINT_SPEC, [below[0], above], [below[1], above])
    with pytest.raises(errors.NotNeighbours, match=r"got Side\.LEFT and Side\.LEFT "):
        _check_neighbours(TENDERMINT_SPEC, [below[0], above], [below[1], other])


def test_paths_that_part_the_other_way_round_are_refused() -> None:
    left = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01", suffix=bytes(32))
    right = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01" + bytes(32))
    with pytest.raises(errors.NotNeighbours, match=r"got Side\.RIGHT and Side\.LEFT "):
        _check_neighbours(TENDERMINT_SPEC, [right], [left])


@pytest.mark.parametrize(("left", "right", "hidden"), [(1, 3, b"c"), (0, 2, b"b")])
def test_a_leaf_beside_the_split_cannot_be_left_out(left: int, right: int, hidden: bytes) -> None:
    """The paths part at the root; below it the left one keeps to the right edge and the right one to the left."""
    keys = (b"a", b"b", b"c", b"d")
    leaves = [_leaf(TENDERMINT_SPEC, key, b"1") for key in keys]
    halves = [sha256(b"\x01" + leaves[start] + leaves[start + 1]).digest() for start in (0, 2)]
    root = sha256(b"\x01" + halves[0] + halves[1]).digest()

    def prove(place: int) -> proofs_pb2.ExistenceProof:
        beside, half = leaves[place ^ 1], place // 2
        steps = [
            (b"\x01" + beside, b"") if place % 2 else (b"\x01", beside),
            (b"\x01" + halves[0], b"") if half else (b"\x01", halves[1]),
        ]
        return _exist(TENDERMINT_SPEC, keys[place], b"1", steps)

    with pytest.raises(errors.NotNeighbours):
        verify_non_membership(TENDERMINT_SPEC, root, encode(absent(prove(left), prove(right))), hidden)
    verify_non_membership(TENDERMINT_SPEC, root, encode(absent(prove(1), prove(2))), b"bb")


def test_neighbours_in_a_tree_that_is_out_of_order_are_refused() -> None:
    """Whoever builds a tree can put its leaves in any order; then a key that is there seems to lie between others."""
    high, low = _leaf(TENDERMINT_SPEC, b"d", b"1"), _leaf(TENDERMINT_SPEC, b"b", b"2")
    root = sha256(b"\x01" + high + low).digest()
    left = _exist(TENDERMINT_SPEC, b"b", b"2", [(b"\x01" + high, b"")])
    right = _exist(TENDERMINT_SPEC, b"d", b"1", [(b"\x01", low)])
    with pytest.raises(errors.NotNeighbours):
        verify_non_membership(TENDERMINT_SPEC, root, encode(absent(left, right)), b"c")


def _smt_keys() -> tuple[bytes, bytes, bytes]:
    """Return three keys whose hashes ascend."""
    low, middle, high = sorted((b"one", b"two", b"three"), key=lambda key: sha256(key).digest())
    return low, middle, high


def test_a_sparse_tree_orders_by_the_hashes_of_keys() -> None:
    low, middle, high = _smt_keys()
    left, right = _leaf(SMT_SPEC, low, b"1"), _leaf(SMT_SPEC, high, b"2")
    root = sha256(b"\x01" + left + right).digest()
    proof = absent(
        _exist(SMT_SPEC, low, b"1", [(b"\x01", right)]), _exist(SMT_SPEC, high, b"2", [(b"\x01" + left, b"")])
    )
    verify_non_membership(SMT_SPEC, root, encode(proof), middle)
    with pytest.raises(errors.KeyNotBetween):
        verify_non_membership(SMT_SPEC, root, encode(proof), low)


def test_keys_are_ordered_by_their_hashes_only_where_leaves_hold_them_and_the_spec_says_so() -> None:
    assert _place_of(SMT_SPEC, b"key") == sha256(b"key").digest()
    assert _place_of(replace(SMT_SPEC, prehash_key_before_comparison=False), b"key") == b"key"
    assert _place_of(replace(IAVL_SPEC, prehash_key_before_comparison=True), b"key") == b"key"


def test_a_branch_beside_the_edge_of_a_sparse_tree_must_be_empty() -> None:
    low, middle, high = _smt_keys()
    leaves = {key: _leaf(SMT_SPEC, key, b"1") for key in (low, middle, high)}
    root = sha256(b"\x01" + leaves[low] + leaves[middle]).digest()
    proof = absent(None, _exist(SMT_SPEC, middle, b"1", [(b"\x01" + leaves[low], b"")]))
    with pytest.raises(errors.NotNeighbours):
        verify_non_membership(SMT_SPEC, root, encode(proof), low)

    root = sha256(b"\x01" + leaves[middle] + leaves[high]).digest()
    proof = absent(_exist(SMT_SPEC, middle, b"1", [(b"\x01", leaves[high])]), None)
    with pytest.raises(errors.NotNeighbours):
        verify_non_membership(SMT_SPEC, root, encode(proof), high)


def test_a_sparse_tree_has_edges_on_both_sides_without_empty_branches_too() -> None:
    low, middle, high = _smt_keys()
    left, right = _leaf(SMT_SPEC, low, b"1"), _leaf(SMT_SPEC, middle, b"2")
    root = sha256(b"\x01" + left + right).digest()
    proof = absent(_exist(SMT_SPEC, middle, b"2", [(b"\x01" + left, b"")]), None)
    verify_non_membership(SMT_SPEC, root, encode(proof), high)

    left, right = _leaf(SMT_SPEC, middle, b"1"), _leaf(SMT_SPEC, high, b"2")
    root = sha256(b"\x01" + left + right).digest()
    proof = absent(None, _exist(SMT_SPEC, middle, b"1", [(b"\x01", right)]))
    verify_non_membership(SMT_SPEC, root, encode(proof), low)


def test_empty_branches_are_at_the_edge_of_a_sparse_tree() -> None:
    low, middle, high = _smt_keys()
    root = sha256(b"\x01" + EMPTY + _leaf(SMT_SPEC, middle, b"1")).digest()
    proof = absent(None, _exist(SMT_SPEC, middle, b"1", [(b"\x01" + EMPTY, b"")]))
    verify_non_membership(SMT_SPEC, root, encode(proof), low)

    root = sha256(b"\x01" + _leaf(SMT_SPEC, middle, b"1") + EMPTY).digest()
    proof = absent(_exist(SMT_SPEC, middle, b"1", [(b"\x01", EMPTY)]), None)
    verify_non_membership(SMT_SPEC, root, encode(proof), high)


def test_an_empty_branch_means_nothing_to_a_tree_without_them() -> None:
    child = _leaf(TENDERMINT_SPEC, b"b", b"1")
    root = sha256(b"\x01" + EMPTY + child).digest()
    proof = absent(None, _exist(TENDERMINT_SPEC, b"b", b"1", [(b"\x01" + EMPTY, b"")]))
    with pytest.raises(errors.NotNeighbours):
        verify_non_membership(TENDERMINT_SPEC, root, encode(proof), b"a")


@given(st.data())
def test_a_changed_proof_of_absence_shows_nothing_else(data: st.DataObject) -> None:
    proof = TRIE.prove(b"key 07")
    proof.nonexist.ClearField("key")  # the verifier does not read it
    encoded = bytearray(encode(proof))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.IbcError):
        verify_non_membership(IAVL_SPEC, TRIE.root(), bytes(encoded), b"key 07")
