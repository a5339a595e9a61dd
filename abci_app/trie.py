"""The provable store: a crit-bit trie whose nodes are hashed like those of an IAVL tree.

Two requirements shape it.  Other chains verify our proofs with the specs that ibc-go ships, so a node must hash as
IAVL nodes do (height, size, version, then the children; or key and hash of the value).  And the root must depend on
nothing but the content, or else the order of writes, a write that changes nothing, or the way a node caught up would
become part of consensus.  An IAVL tree has neither property (its shape follows the order of writes and its hashes
contain the version), a crit-bit trie has: its shape is a function of the set of keys, and the version is fixed at one.

A trie is a value: `set` and `delete` return another trie and share all nodes off the path.  Keeping the tries of many
heights is therefore cheap, and a trie can be read by any thread while another is built.

Bits of a key.  Each byte has nine: a presence bit, then its bits from the highest.  Past the end of a key all bits are
zero.  Hence no key is a prefix of another one's bits, and the order of leaves is the bytewise order of the keys, which
ICS-23 proofs of absence rely on.

Sources: D. J. Bernstein, "Crit-bit trees"; cosmos/iavl, `docs/node/node.md`; ICS-23.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from abci_app.errors import KeyTooDeep, NothingToProve
from wire.cosmos.ics23.v1 import proofs_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of a trie without keys, as IAVL has it."""

MAX_DEPTH: Final = 128
"""Longest path that ICS-23 verifiers accept."""

LEAF_PREFIX: Final = b"\x00\x02\x02"
"""Height, size and version of a leaf: zero, one and one as zigzag varints."""

_VERSION_AND_LENGTH: Final = b"\x02\x20"
"""Version one as a zigzag varint, and the length of the hash that follows."""


def encode_uvarint(number: int) -> bytes:
    """Return a number from zero as an unsigned varint."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class _Leaf:
    """A key with its value.  Never changed but for its hash, which is filled in once."""

    __slots__ = ("hash", "key", "value")

    height: ClassVar[int] = 0
    size: ClassVar[int] = 1

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key = key
        self.value = value
        self.hash = b""


class _Inner:
    """A branch at the first bit in which the keys below differ.  Never changed but for its hash."""

    __slots__ = ("hash", "height", "index", "left", "mask", "position", "right", "size")

    def __init__(self, position: int, index: int, mask: int, left: _Node, right: _Node) -> None:
        self.position = position
        """Number of the bit, counted from the start of the key, nine a byte."""
        self.index = index
        """Byte that the bit belongs to."""
        self.mask = mask
        """The bit within its byte; zero for the presence bit."""
        self.left = left
        """Keys without the bit."""
        self.right = right
        """Keys with the bit."""
        self.height: int = max(left.height, right.height) + 1
        self.size: int = left.size + right.size
        self.hash = b""


_Node: TypeAlias = _Leaf | _Inner
_Step: TypeAlias = tuple[_Inner, bool]
"""A branch on a path, and whether the path goes left there."""


def _branch(position: int, left: _Node, right: _Node) -> _Inner:
    """Return a new branch at a bit."""
    index, bit = divmod(position, 9)
    return _Inner(position, index, 0 if bit == 0 else 0x100 >> bit, left, right)


def _first_difference(one: bytes, other: bytes) -> int:
    """Return the position of the first bit in which two different keys differ."""
    shared = min(len(one), len(other))
    difference = int.from_bytes(one[:shared], "big") ^ int.from_bytes(other[:shared], "big")
    if not difference:
        return 9 * shared
    bit = 8 * shared - difference.bit_length()
    return (bit >> 3) * 9 + 1 + (bit & 7)


def _descend(node: _Node, key: bytes) -> tuple[_Leaf, list[_Inner]]:
    """Follow the bits of a key; return the leaf where that ends and the branches passed, root first.

    The leaf holds the key if any does.  If none does, the leaf shares with the key all bits up to the place where
    the key would branch off.
    """
    path: list[_Inner] = []
    length = len(key)
    while isinstance(node, _Inner):
        path.append(node)
        index = node.index
        went_right = index < length and (not node.mask or key[index] & node.mask)
        node = node.right if went_right else node.left
    return node, path


def _place(path: list[_Inner], position: int) -> int:
    """Return how many branches of a path lie above a bit."""
    depth = len(path)
    while depth and path[depth - 1].position > position:
        depth -= 1
    return depth


def _rebuild(path: list[_Inner], old: _Node, new: _Node) -> _Node:
    """Copy the branches of a path, with one node below them exchanged, and return the new root."""
    for parent in reversed(path):
        if parent.left is old:
            new = _Inner(parent.position, parent.index, parent.mask, new, parent.right)
        else:
            new = _Inner(parent.position, parent.index, parent.mask, parent.left, new)
        old = parent
    return new


def _branch_prefix(node: _Inner) -> bytes:
    """Return what the hash of a branch begins with: height, size, version, and the length of a hash."""
    return encode_uvarint(node.height << 1) + encode_uvarint(node.size << 1) + _VERSION_AND_LENGTH


def _fill_hashes(root: _Node) -> None:
    """Hash every node below that has no hash yet.  Without recursion: long keys may make deep tries."""
    pending = [root]
    order: list[_Node] = []
    while pending:
        node = pending.pop()
        order.append(node)
        if isinstance(node, _Inner):
            if not node.left.hash:
                pending.append(node.left)
            if not node.right.hash:
                pending.append(node.right)
    for node in reversed(order):
        if isinstance(node, _Inner):
            content = _branch_prefix(node) + node.left.hash + b"\x20" + node.right.hash
        else:
            value_hash = sha256(node.value).digest()
            content = LEAF_PREFIX + encode_uvarint(len(node.key)) + node.key + b"\x20" + value_hash
        node.hash = sha256(content).digest()


class Trie:
    """A map from non-empty keys to non-empty values with a Merkle root; immutable."""

    __slots__ = ("_root",)

    EMPTY: ClassVar[Trie]
    """The trie without keys."""

    def __init__(self, root: _Leaf | _Inner | None = None) -> None:
        self._root = root

    def __len__(self) -> int:
        return 0 if self._root is None else self._root.size

    @classmethod
    def build(cls, items: Iterable[tuple[bytes, bytes]]) -> Trie:
        """Build a trie in linear time from (key, value) in ascending order of keys.

        Raises:
          ValueError: the keys do not ascend, or a key or value is empty.

        """
        spine: list[tuple[int, _Node]] = []
        newest: _Node | None = None
        previous = b""
        for key, value in items:
            if not value or key <= previous:
                raise ValueError(
                    f"expected ascending keys and values, got {key.hex()} after {previous.hex()}"
                )
            leaf = _Leaf(key, value)
            if newest is not None:
                position = _first_difference(previous, key)
                while spine and spine[-1][0] > position:
                    above, left = spine.pop()
                    newest = _branch(above, left, newest)
                spine.append((position, newest))
            newest, previous = leaf, key
        while spine and newest is not None:
            above, left = spine.pop()
            newest = _branch(above, left, newest)
        return cls(newest)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None when it is absent."""
        node = self._root
        if node is None:
            return None
        length = len(key)
        while isinstance(node, _Inner):
            index = node.index
            went_right = index < length and (not node.mask or key[index] & node.mask)
            node = node.right if went_right else node.left
        return node.value if node.key == key else None

    def set(self, key: bytes, value: bytes) -> Trie:
        """Return the trie with a key set; the same trie when that changes nothing.

        Raises:
          ValueError: the key or the value is empty.

        """
        if not key or not value:
            raise ValueError(f"expected a key and a value, got key {key.hex()} and {len(value)} bytes")
        if self._root is None:
            return Trie(_Leaf(key, value))
        nearest, path = _descend(self._root, key)
        if nearest.key == key:
            return self if nearest.value == value else Trie(_rebuild(path, nearest, _Leaf(key, value)))
        position = _first_difference(nearest.key, key)
        depth = _place(path, position)
        below = path[depth] if depth < len(path) else nearest
        leaf = _Leaf(key, value)
        pair = (below, leaf) if key > nearest.key else (leaf, below)
        return Trie(_rebuild(path[:depth], below, _branch(position, *pair)))

    def delete(self, key: bytes) -> Trie:
        """Return the trie without a key; the same trie when the key is absent."""
        if self._root is None:
            return self
        leaf, path = _descend(self._root, key)
        if leaf.key != key:
            return self
        if not path:
            return Trie.EMPTY
        parent = path.pop()
        return Trie(_rebuild(path, parent, parent.right if parent.left is leaf else parent.left))

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of all keys with the prefix, in ascending bytewise order."""
        node = self._root
        end = 9 * len(prefix)
        while isinstance(node, _Inner) and node.position < end:
            went_right = not node.mask or prefix[node.index] & node.mask
            node = node.right if went_right else node.left
        pending: list[_Node] = [] if node is None else [node]
        while pending:
            node = pending.pop()
            while isinstance(node, _Inner):
                pending.append(node.right)
                node = node.left
            if not node.key.startswith(prefix):
                return  # all keys below share the bits that the prefix tests, so none of them has it
            yield node.key, node.value

    def root(self) -> bytes:
        """Return the Merkle root, 32 bytes; it depends on the content alone."""
        if self._root is None:
            return EMPTY_ROOT
        if not self._root.hash:
            _fill_hashes(self._root)
        return self._root.hash

    def prove(self, key: bytes) -> proofs_pb2.CommitmentProof:
        """Return the ICS-23 proof that a key is present, or else that it is absent.

        Raises:
          NothingToProve: the trie is empty.
          KeyTooDeep: the path to the key, or to a neighbour of it, is longer than verifiers accept.

        """
        if self._root is None:
            raise NothingToProve(f"expected a key in the provable store to prove {key.hex()} by, got none")
        self.root()
        nearest, path = _descend(self._root, key)
        if nearest.key == key:
            return proofs_pb2.CommitmentProof(exist=_prove_leaf(nearest, _steps(path, nearest)))
        depth = _place(path, _first_difference(nearest.key, key))
        below = path[depth] if depth < len(path) else nearest
        steps = _steps(path[:depth], below)
        # All keys below lie on one side of the key, so its neighbours are their edge on that side, and the edge of
        # the subtree where the path last turned the other way.
        is_left = key > nearest.key
        near = _prove_edge(below, steps, rightmost=is_left)
        turn = next((i for i in range(depth - 1, -1, -1) if steps[i][1] == is_left), None)
        far: proofs_pb2.ExistenceProof | None = None
        if turn is not None:
            parent = steps[turn][0]
            other_side = parent.right if is_left else parent.left
            far = _prove_edge(other_side, [*steps[:turn], (parent, not is_left)], rightmost=not is_left)
        left, right = (near, far) if is_left else (far, near)
        return proofs_pb2.CommitmentProof(
            nonexist=proofs_pb2.NonExistenceProof(key=key, left=left, right=right)
        )


Trie.EMPTY = Trie()


def _steps(path: list[_Inner], end: _Node) -> list[_Step]:
    """Pair each branch of a path with the side that the path takes there."""
    return [(node, node.left is child) for node, child in zip(path, [*path, end][1:], strict=True)]


def _prove_edge(node: _Node, steps: list[_Step], *, rightmost: bool) -> proofs_pb2.ExistenceProof:
    """Prove the first or last leaf of the subtree at the end of the steps."""
    steps = list(steps)
    while isinstance(node, _Inner):
        steps.append((node, not rightmost))
        node = node.right if rightmost else node.left
    return _prove_leaf(node, steps)


def _prove_leaf(leaf: _Leaf, steps: list[_Step]) -> proofs_pb2.ExistenceProof:
    """Return the proof of a leaf by the steps that lead to it."""
    if len(steps) > MAX_DEPTH:
        raise KeyTooDeep(
            f"expected at most {MAX_DEPTH} branches above key {leaf.key.hex()}, got {len(steps)}"
        )
    path: list[proofs_pb2.InnerOp] = []
    for node, went_left in reversed(steps):
        prefix = _branch_prefix(node)
        if went_left:
            op = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=prefix, suffix=b"\x20" + node.right.hash)
        else:
            op = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=prefix + node.left.hash + b"\x20")
        path.append(op)
    leaf_op = proofs_pb2.LeafOp(
        hash=proofs_pb2.SHA256,
        prehash_value=proofs_pb2.SHA256,
        length=proofs_pb2.VAR_PROTO,
        prefix=LEAF_PREFIX,
    )
    return proofs_pb2.ExistenceProof(key=leaf.key, value=leaf.value, leaf=leaf_op, path=path)
