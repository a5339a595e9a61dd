"""What can be wrong with a proof: each function changes one thing of a claim about a Merkle tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from hypothesis import strategies as st

from ibc.protowire import encode_uvarint
from tests.support.proofs import fold
from wire.cosmos.ics23.v1 import proofs_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import SearchStrategy

    from ibc.proof_spec import ProofSpec

    Mutation = Callable[["Draw", "Claim"], None]
    NodeChange = Callable[[proofs_pb2.InnerOp], None]

Example = TypeVar("Example")


class Draw(Protocol):
    """Draws an example, in a composite strategy or in a test."""

    def __call__(self, strategy: SearchStrategy[Example]) -> Example:
        """Return an example of the strategy."""


@dataclass
class Claim:
    """That a tree has the value under the key, or nothing where the value is None."""

    spec: ProofSpec
    root: bytes
    proof: proofs_pb2.CommitmentProof
    key: bytes
    value: bytes | None
    others: Sequence[proofs_pb2.ExistenceProof] = ()
    """Proofs of other keys of the tree."""

    @property
    def leaves(self) -> list[proofs_pb2.ExistenceProof]:
        """The proofs of existence that the proof consists of."""
        if self.proof.HasField("exist"):
            return [self.proof.exist]
        absence = self.proof.nonexist
        return [getattr(absence, side) for side in ("left", "right") if absence.HasField(side)]


def zigzag(*numbers: int) -> bytes:
    """Return numbers as IAVL writes them."""
    return b"".join(encode_uvarint(2 * number if number >= 0 else -2 * number - 1) for number in numbers)


def change_key_or_value(draw: Draw, claim: Claim) -> None:
    for leaf in claim.leaves:
        if draw(st.booleans()):
            leaf.key = draw(st.sampled_from([b"", leaf.key + b"\0", leaf.key[:-1], claim.key]))
        else:
            leaf.value = draw(st.sampled_from([b"", leaf.value + b"\0"]))
            if claim.value is not None and draw(st.booleans()):
                claim.value = leaf.value


def change_claim(draw: Draw, claim: Claim) -> None:
    key = claim.key
    present = [leaf.key for leaf in (*claim.leaves, *claim.others)]
    claim.key = draw(st.sampled_from([b"", key + b"\0", key[:-1], b"\0", b"\xff" * 9, *present]))
    if draw(st.booleans()):
        claim.value = draw(st.sampled_from([None, b"", b"v", *(leaf.value for leaf in claim.leaves)]))


def change_leaf(draw: Draw, claim: Claim) -> None:
    """Change the operation of the leaf, in all neighbours alike."""
    kind = draw(st.sampled_from(["prefix", "hash", "key", "value", "length", "none"]))
    prefix = draw(
        st.sampled_from(
            [
                b"",
                b"\0",
                b"\1",
                zigzag(0, 1, 5),
                zigzag(0, 2, 5),
                zigzag(0, 0, 5),
                zigzag(0, 1, -1),
                zigzag(0, 1),
                zigzag(0, 1, 5, 0),
                zigzag(1, 1, 5),
                b"\0\x82\0\x02",  # a padded size
                b"\0\2" + b"\xff" * 9 + b"\1",
            ]
        )
    )
    hashes, lengths = (
        st.sampled_from(proofs_pb2.HashOp.values()),
        st.sampled_from(proofs_pb2.LengthOp.values()),
    )
    hash_op, length_op = draw(hashes), draw(lengths)
    for leaf in claim.leaves:
        if kind == "prefix":
            leaf.leaf.prefix = prefix
        elif kind == "hash":
            leaf.leaf.hash = hash_op
        elif kind == "key":
            leaf.leaf.prehash_key = hash_op
        elif kind == "value":
            leaf.leaf.prehash_value = hash_op
        elif kind == "length":
            leaf.leaf.length = length_op
        else:
            leaf.ClearField("leaf")


@st.composite
def node_prefixes(draw: st.DrawFn, spec: ProofSpec) -> bytes:
    """Return prefixes of inner nodes: right ones and all kinds of nearly right ones."""
    child = draw(st.sampled_from([b"", b"", b"\x20" + bytes(32), bytes(32), bytes(33), bytes(34)]))
    if not spec.has_iavl_nodes:
        return draw(st.sampled_from([b"", b"\0", b"\1", b"\1\0", b"\2", b"\1" * 5])) + child
    numbers = draw(
        st.sampled_from(
            [
                zigzag(1, 2, 1),
                zigzag(9, 300, 7),
                zigzag(127, 1, 0),
                zigzag(0, 2, 1),
                zigzag(-1, 2, 1),
                zigzag(5, -2, 1),
                zigzag(5, 2, -1),
                zigzag(5, 2, 2**62),
                zigzag(5, 2, 2**63 - 1),
                zigzag(5, 2),
                b"\x8a\0" + zigzag(2, 1),  # a padded height
                b"\x0a" + b"\xff" * 9 + b"\1" + b"\2",
                b"\x0a" + b"\xff" * 10 + b"\1" + b"\2",
            ]
        )
    )
    return numbers + draw(st.sampled_from([b"\x20", b"\x20", b"", b"\x21"])) + child


@st.composite
def node_changes(draw: st.DrawFn, spec: ProofSpec) -> NodeChange:
    """Return a change of one inner node."""
    kind = draw(st.sampled_from(["prefix", "suffix", "both", "hash", "cut", "grow", "bit"]))
    prefix = draw(node_prefixes(spec))
    size = spec.child_size
    suffix = bytes(draw(st.sampled_from([0, 1, size - 1, size, size + 1, 2 * size])))
    hash_op = draw(st.sampled_from(proofs_pb2.HashOp.values()))
    place, bit = draw(st.integers(0, 70)), 1 << draw(st.integers(0, 7))

    def change(node: proofs_pb2.InnerOp) -> None:
        if kind in {"prefix", "both"}:
            node.prefix = prefix
        if kind in {"suffix", "both"}:
            node.suffix = suffix
        if kind == "hash":
            node.hash = hash_op
        if kind == "cut":
            node.prefix = node.prefix[:-1]
        if kind == "grow":
            node.prefix += b"\x20"
        if kind == "bit":
            changed = bytearray(node.prefix + node.suffix or b"\0")
            changed[place % len(changed)] ^= bit
            middle = len(node.prefix)
            node.prefix, node.suffix = bytes(changed[:middle]), bytes(changed[middle:])

    return change


def change_node(draw: Draw, claim: Claim) -> None:
    """Change the node at some distance from the root, in all paths that have it."""
    longest = max((len(leaf.path) for leaf in claim.leaves), default=0)
    if not longest:
        return
    distance = draw(st.integers(1, longest))
    change = draw(node_changes(claim.spec))
    sides = claim.leaves if draw(st.booleans()) else claim.leaves[:1]
    for leaf in sides:
        if len(leaf.path) >= distance:
            change(leaf.path[-distance])


def change_path(draw: Draw, claim: Claim) -> None:
    """Leave out, repeat or add nodes."""
    kind = draw(st.sampled_from(["add", "drop", "repeat", "deep", "none"]))
    added = proofs_pb2.InnerOp(
        hash=proofs_pb2.SHA256,
        prefix=draw(node_prefixes(claim.spec)),
        suffix=bytes(draw(st.sampled_from([0, claim.spec.child_size]))),
    )
    at_root = draw(st.booleans())
    depth = draw(st.sampled_from([126, 127, 128, 129]))
    sides = claim.leaves if draw(st.booleans()) else claim.leaves[:1]
    for leaf in sides:
        nodes = list(leaf.path)
        if kind == "add":
            nodes = [*nodes, added] if at_root else [added, *nodes]
        elif kind == "drop":
            nodes = nodes[:-1] if at_root else nodes[1:]
        elif kind == "repeat":
            nodes = [*nodes, *nodes[-1:]]
        elif kind == "deep":
            head = zigzag(127, 2, 1) + b"\x20" if claim.spec.has_iavl_nodes else b"\1"
            tower = proofs_pb2.InnerOp(
                hash=proofs_pb2.SHA256, prefix=head, suffix=bytes(claim.spec.child_size)
            )
            nodes = [*nodes, *[tower] * max(depth - len(nodes), 0)]
        else:
            nodes = []
        copies = [proofs_pb2.InnerOp.FromString(node.SerializeToString()) for node in nodes]
        del leaf.path[:]
        leaf.path.extend(copies)


def change_neighbours(draw: Draw, claim: Claim) -> None:
    """Claim an absence with other neighbours than the right ones."""
    known = [*claim.leaves, *claim.others]
    if not known:
        return
    copies = [proofs_pb2.ExistenceProof.FromString(leaf.SerializeToString()) for leaf in known]
    sides = st.sampled_from([None, *copies])
    absence = proofs_pb2.NonExistenceProof(key=claim.key, left=draw(sides), right=draw(sides))
    claim.proof.CopyFrom(proofs_pb2.CommitmentProof(nonexist=absence))
    claim.value = None


def change_kind(draw: Draw, claim: Claim) -> None:
    """Show the same in a proof of another kind, or claim something else with it."""
    kind = draw(st.sampled_from(["batch", "compressed", "exist", "nothing", "claim"]))
    if kind == "batch":
        wrapped = proofs_pb2.CommitmentProof()
        entry = wrapped.batch.entries.add()
        if claim.proof.HasField("exist"):
            entry.exist.CopyFrom(claim.proof.exist)
        else:
            entry.nonexist.CopyFrom(claim.proof.nonexist)
        claim.proof.CopyFrom(wrapped)
    elif kind == "compressed":
        claim.proof.compressed.SetInParent()
    elif kind == "exist" and claim.leaves:
        leaf = proofs_pb2.ExistenceProof.FromString(claim.leaves[0].SerializeToString())
        claim.proof.CopyFrom(proofs_pb2.CommitmentProof(exist=leaf))
    elif kind == "nothing":
        claim.proof.Clear()
    else:
        claim.value = b"v" if claim.value is None else None


def change_depths(draw: Draw, claim: Claim) -> None:
    """Let the spec ask for a depth near that of the proof."""
    depth = max((len(leaf.path) for leaf in claim.leaves), default=0)
    near = st.sampled_from([0, max(depth - 1, 0), depth, depth + 1])
    claim.spec = replace(claim.spec, min_depth=draw(near), max_depth=draw(near))


def change_root(draw: Draw, claim: Claim) -> None:
    claim.root = draw(st.sampled_from([b"", bytes(32), claim.root[:-1]]))


MUTATIONS: tuple[Mutation, ...] = (
    change_key_or_value,
    change_claim,
    change_leaf,
    change_leaf,
    change_node,
    change_node,
    change_node,
    change_path,
    change_neighbours,
    change_neighbours,
    change_kind,
    change_depths,
    change_root,
)


def mutate(draw: Draw, claim: Claim) -> None:
    """Change one or two things, and mostly let the root follow: an attacker may well have made the tree."""
    for change in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=2)):
        change(draw, claim)
    if claim.leaves and draw(st.sampled_from([True, True, False])):
        claim.root = fold(claim.leaves[0])
