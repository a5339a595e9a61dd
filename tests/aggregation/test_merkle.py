from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.errors import MerklePathError
from aggregation.merkle import merkle_path, merkle_root, verify_merkle_path

# The leaves and hashes that implementations of Certificate Transparency test against.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SECOND_OF_EIGHT = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]

leaf_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


def rfc_root(leaves: list[bytes]) -> bytes:
    """Compute MTH as RFC 6962 section 2.1 defines it."""
    if len(leaves) <= 1:
        return sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01" + rfc_root(leaves[:split]) + rfc_root(leaves[split:])).digest()


def rfc_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """Compute PATH as RFC 6962 section 2.1.1 defines it."""
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*rfc_path(index, leaves[:split]), rfc_root(leaves[split:])]
    return [*rfc_path(index - split, leaves[split:]), rfc_root(leaves[:split])]


@pytest.mark.parametrize("count", range(9))
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    assert merkle_root(LEAVES[:count]).hex() == ROOTS[count]


def test_a_path_is_that_of_certificate_transparency() -> None:
    assert [node.hex() for node in merkle_path(LEAVES, 1)] == SECOND_OF_EIGHT


@given(leaf_lists)
def test_roots_and_paths_follow_the_definition(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == rfc_root(leaves)
    assert all(merkle_path(leaves, i) == rfc_path(i, leaves) for i in range(len(leaves)))


@given(leaf_lists)
def test_every_leaf_verifies_with_its_path(leaves: list[bytes]) -> None:
    root = merkle_root(leaves)
    for index, leaf in enumerate(leaves):
        verify_merkle_path(root, leaf, index, len(leaves), merkle_path(leaves, index))


@given(leaf_lists, st.data())
def test_another_leaf_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.binary(max_size=40).filter(lambda leaf: leaf != leaves[index]))
    with pytest.raises(MerklePathError):
        verify_merkle_path(merkle_root(leaves), other, index, len(leaves), merkle_path(leaves, index))


@given(leaf_lists, st.data())
def test_a_changed_path_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle_path(leaves, index)
    changes = [[*path, bytes(32)]]
    for place in range(len(path)):
        flipped = bytes([path[place][0] ^ 1]) + path[place][1:]
        changes += [
            [*path[:place], flipped, *path[place + 1 :]],
            [*path[:place], *path[place + 1 :]],
            [*path[:place], path[place][:31], *path[place + 1 :]],
        ]
    changed = data.draw(st.sampled_from(changes))
    with pytest.raises(MerklePathError):
        verify_merkle_path(merkle_root(leaves), leaves[index], index, len(leaves), changed)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=20, unique=True), st.data())
def test_a_leaf_at_another_index_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index, other = data.draw(st.permutations(range(len(leaves))).map(lambda order: order[:2]))
    with pytest.raises(MerklePathError):
        verify_merkle_path(merkle_root(leaves), leaves[index], other, len(leaves), merkle_path(leaves, index))


@pytest.mark.parametrize(("index", "count"), [(-1, 4), (4, 4), (0, 0), (0, -1)])
def test_an_index_outside_the_tree_is_refused(index: int, count: int) -> None:
    with pytest.raises(MerklePathError):
        verify_merkle_path(merkle_root(LEAVES[:4]), LEAVES[0], index, count, merkle_path(LEAVES[:4], 0))


@pytest.mark.parametrize("index", [-1, 8])
def test_there_is_no_path_of_a_leaf_outside_the_tree(index: int) -> None:
    with pytest.raises(MerklePathError):
        merkle_path(LEAVES, index)


def test_an_inner_node_cannot_pose_as_a_leaf() -> None:
    left, right = (sha256(b"\x00" + leaf).digest() for leaf in LEAVES[:2])
    with pytest.raises(MerklePathError):
        verify_merkle_path(merkle_root(LEAVES[:2]), left + right, 0, 1, [])
