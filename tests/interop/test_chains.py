"""Proofs through nested trees: our verdict is that of ibc-go's MerkleProof, for its chains and for ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.multistore import hash_stores, prove_store
from abci_app.trie import Trie
from ibc import errors
from ibc.commitment import verify_chained_membership, verify_chained_non_membership
from ibc.proof_spec import DEFAULT_SPECS, IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC, ProofSpec, spec_to_wire
from tests.interop import comparisons
from tests.interop.proof_differences import is_stricter_on_purpose
from tests.support.differential import Tally
from tests.support.judge_go import INVALID, VERIFIED, Judge
from tests.support.proofs import fold
from wire.cosmos.ics23.v1 import proofs_pb2
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    from tests.interop.conftest import ReportCases
    from tests.interop.proof_mutations import Draw

CASES = 1_000

keys = st.lists(st.sampled_from([0x00, 0x01, 0x61, 0xFF]), min_size=1, max_size=3).map(bytes)
contents = st.dictionaries(keys, st.binary(min_size=1, max_size=3), min_size=1, max_size=6)


@dataclass
class Chain:
    """That a value, or nothing, stands at a path below a root."""

    root: bytes
    proofs: list[proofs_pb2.CommitmentProof]
    path: tuple[bytes, ...]
    value: bytes | None
    specs: tuple[ProofSpec, ...] = DEFAULT_SPECS

    @property
    def encoded(self) -> bytes:
        return commitment_pb2.MerkleProof(proofs=self.proofs).SerializeToString(deterministic=True)


@st.composite
def own_chains(draw: st.DrawFn) -> Chain:
    """Return true claims about chains with our stores."""
    pairs = draw(contents)
    asked = draw(st.sampled_from(sorted(pairs)) | keys)
    trie = Trie.build(sorted(pairs.items()))
    roots = {"bulk": bytes(32), "provable": trie.root()}
    proofs = [trie.prove(asked), prove_store(roots, "provable")]
    return Chain(hash_stores(roots), proofs, (b"provable", asked), pairs.get(asked))


def sdk_chain(judge: Judge, draw: Draw) -> Chain:
    """Return a true claim about a chain of the Cosmos SDK, made by the SDK's own code."""
    pairs = draw(contents)
    asked = draw(st.sampled_from(sorted(pairs)) | keys)
    tree = judge.build_tree([dict(pairs)], [asked])
    others = draw(st.dictionaries(st.text("abi", min_size=1, max_size=3), st.just(bytes(32)), max_size=5))
    app_hash, stores = judge.build_stores(others | {"ibc": tree.root})
    proofs = [proofs_pb2.CommitmentProof.FromString(proof) for proof in (tree.proofs[0], stores["ibc"])]
    return Chain(app_hash, proofs, (b"ibc", asked), pairs.get(asked))


def change(draw: Draw, chain: Chain) -> None:
    """Change one thing."""
    kind = draw(
        st.sampled_from(
            ["root", "path", "value", "order", "count", "specs", "kinds", "inner", "none", "seam"]
        )
    )
    first = proofs_pb2.CommitmentProof.FromString(chain.proofs[0].SerializeToString())
    if kind == "root":
        chain.root = draw(st.sampled_from([b"", bytes(32), chain.root[:-1], chain.root + b"\0"]))
    elif kind == "path":
        elements = st.sampled_from([*chain.path, b"", b"x", chain.path[-1] + b"\0"])
        chain.path = tuple(draw(st.lists(elements, max_size=3)))
    elif kind == "value":
        chain.value = draw(st.sampled_from([None, b"", b"v", chain.root]))
    elif kind == "order":
        chain.proofs.reverse()
    elif kind == "count":
        chain.proofs = draw(st.sampled_from([[], chain.proofs[:1], [*chain.proofs, first]]))
    elif kind == "specs":
        known = st.sampled_from([IAVL_SPEC, TENDERMINT_SPEC, SMT_SPEC])
        chain.specs = tuple(draw(st.lists(known, min_size=1, max_size=3)))
    elif kind == "kinds":  # an absence where only presence may stand (cardano-ibc-incubator#673)
        chain.proofs[1] = first
    elif kind == "inner":
        node = proofs_pb2.InnerOp(hash=proofs_pb2.SHA256, prefix=b"\x01", suffix=bytes(32))
        chain.proofs[1].exist.path.append(node)
        chain.root = fold(chain.proofs[1].exist)
    elif kind == "seam":
        chain.proofs[1].exist.value = draw(st.sampled_from([b"", bytes(32)]))
        chain.root = fold(chain.proofs[1].exist)


def our_error(chain: Chain) -> errors.IbcError | None:
    """Return why we refuse a claim, or None."""
    try:
        if chain.value is None:
            verify_chained_non_membership(chain.specs, chain.root, chain.encoded, chain.path)
        else:
            verify_chained_membership(chain.specs, chain.root, chain.encoded, chain.path, chain.value)
    except errors.IbcError as error:
        return error
    return None


def compare(judge: Judge, chain: Chain) -> str:
    """Assert that the verdicts are the same or that we are stricter on purpose, and return the kind of the case."""
    ours = our_error(chain)
    specs = [spec_to_wire(spec) for spec in chain.specs]
    theirs = judge.judge_chain(specs, chain.root, chain.encoded, chain.path, chain.value)
    if ours is not None and theirs.verdict == VERIFIED:
        assert is_stricter_on_purpose(ours), ours
        return f"stricter: {type(ours).__name__}"
    assert theirs.verdict == (VERIFIED if ours is None else INVALID), (ours, theirs)
    return theirs.verdict


def check_chains(judge: Judge, *, from_sdk: bool) -> Tally:
    """Compare true and changed claims."""
    tally = Tally()

    @settings(max_examples=CASES // 2)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        chain = sdk_chain(judge, data.draw) if from_sdk else data.draw(own_chains())
        assert compare(judge, chain) == VERIFIED
        tally.count(VERIFIED)
        change(data.draw, chain)
        tally.count(compare(judge, chain))

    check()
    assert tally.cases >= CASES
    assert min(tally[VERIFIED] - tally.cases // 2, tally[INVALID]) >= 20, tally
    return tally


def test_ibc_go_verifies_what_our_chains_prove_and_nothing_else(
    judge: Judge, report_cases: ReportCases
) -> None:
    report_cases(comparisons.OUR_CHAINS, check_chains(judge, from_sdk=False))


def test_we_verify_what_sdk_chains_prove_and_nothing_else(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.SDK_CHAINS, check_chains(judge, from_sdk=True))


def test_only_ibc_go_says_that_an_empty_key_is_absent(judge: Judge) -> None:
    trie = Trie.build([(b"\0", b"v")])
    roots = {"provable": trie.root()}
    absent = trie.prove(b"")
    chain = Chain(hash_stores(roots), [absent, prove_store(roots, "provable")], (b"provable", b""), None)
    assert compare(judge, chain) == "stricter: EmptyKeyOrValue"


def test_stores_have_the_same_app_hash_and_proofs(judge: Judge) -> None:
    names = st.text("abcz", min_size=1, max_size=3)

    @given(st.dictionaries(names, st.binary(min_size=32, max_size=32), min_size=1, max_size=9))
    def check(roots: dict[str, bytes]) -> None:
        app_hash, proofs = judge.build_stores(roots)
        assert hash_stores(roots) == app_hash
        for name, proof in proofs.items():
            assert prove_store(roots, name) == proofs_pb2.CommitmentProof.FromString(proof)

    check()
