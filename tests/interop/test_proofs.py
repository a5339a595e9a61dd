"""Merkle proofs: our verdict is that of cosmos/ics23 on proofs of IAVL trees, of simple maps and of our own store.

Where the reference is more lenient, which is nowhere with a proof that a tree makes, the reason is in `proof_differences`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.multistore import prove_store
from abci_app.trie import Trie
from ibc import errors
from ibc.ics23 import verify_membership, verify_non_membership
from ibc.proof_spec import IAVL_SPEC, TENDERMINT_SPEC, spec_to_wire
from tests.interop import comparisons
from tests.interop.proof_differences import is_stricter_on_purpose
from tests.interop.proof_mutations import Claim, mutate
from tests.support.differential import Tally
from tests.support.judge_go import INVALID, PANIC, VERIFIED, Judge
from tests.support.proofs import fold
from wire.cosmos.ics23.v1 import proofs_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from ibc.proof_spec import ProofSpec
    from tests.interop.conftest import ReportCases

    ClaimSource = Callable[[Judge, st.DataObject], Claim]

CASES = 700

keys = st.lists(st.sampled_from([0x00, 0x01, 0x61, 0x80, 0xFF]), min_size=1, max_size=4).map(bytes)
values = st.binary(min_size=1, max_size=3)
contents = st.dictionaries(keys, values, min_size=1, max_size=12)
histories = st.lists(st.dictionaries(keys, st.one_of(st.none(), values), max_size=8), max_size=3)


def our_error(claim: Claim) -> errors.IbcError | None:
    """Return why we refuse a claim, or None."""
    proof = claim.proof.SerializeToString(deterministic=True)
    try:
        if claim.value is None:
            verify_non_membership(claim.spec, claim.root, proof, claim.key)
        else:
            verify_membership(claim.spec, claim.root, proof, claim.key, claim.value)
    except errors.IbcError as error:
        return error
    return None


def compare(judge: Judge, claim: Claim) -> str:
    """Assert that the verdicts are the same or that we are stricter on purpose, and return the kind of the case."""
    ours = our_error(claim)
    proof = claim.proof.SerializeToString(deterministic=True)
    theirs = judge.judge_proof(spec_to_wire(claim.spec), claim.root, proof, claim.key, claim.value)
    if ours is None:
        assert theirs.verdict == VERIFIED, theirs
        return VERIFIED
    if theirs.verdict == VERIFIED:
        assert is_stricter_on_purpose(ours), f"ours: {ours!r}"
        return f"stricter: {type(ours).__name__}"
    # Where the reference panics (a path that is the other's tail, #422 of batches) a chain fails the transaction.
    assert theirs.verdict in {INVALID, PANIC}
    return INVALID if theirs.verdict == INVALID else "cosmos/ics23 panics, we refuse"


def make_claim(
    spec: ProofSpec, root: bytes, pairs: dict[bytes, bytes], key: bytes, proofs: dict[bytes, bytes]
) -> Claim:
    """Return the true claim about a key, out of the proofs of all keys."""
    decoded = {name: proofs_pb2.CommitmentProof.FromString(proof) for name, proof in proofs.items()}
    others = [proof.exist for name, proof in decoded.items() if name != key and proof.HasField("exist")]
    return Claim(spec, root, decoded[key], key, pairs.get(key), others)


def iavl_claim(judge: Judge, data: st.DataObject) -> Claim:
    """Return a claim about a tree of cosmos/iavl with a history of writes."""
    versions: list[dict[bytes, bytes | None]] = data.draw(histories, label="versions")
    final = data.draw(contents, label="last version")
    pairs: dict[bytes, bytes] = {}
    history: list[dict[bytes, bytes | None]] = [*versions, dict(final)]
    for writes in history:
        for key, value in writes.items():
            if value is None:
                pairs.pop(key, None)
            else:
                pairs[key] = value
    asked = data.draw(st.sampled_from(sorted(pairs)) | keys, label="key")
    known = list(dict.fromkeys([asked, *sorted(pairs)]))
    tree = judge.build_tree(history, known)
    return make_claim(IAVL_SPEC, tree.root, pairs, asked, dict(zip(known, tree.proofs, strict=True)))


def own_claim(judge: Judge, data: st.DataObject) -> Claim:
    """Return a claim about a trie of our store."""
    pairs = data.draw(contents, label="pairs")
    asked = data.draw(st.sampled_from(sorted(pairs)) | keys, label="key")
    trie = Trie.build(sorted(pairs.items()))
    proofs = {key: trie.prove(key).SerializeToString() for key in dict.fromkeys([asked, *sorted(pairs)])}
    return make_claim(IAVL_SPEC, trie.root(), pairs, asked, proofs)


def simple_claim(judge: Judge, data: st.DataObject) -> Claim:
    """Return a claim about a simple map, of which the reference makes proofs of presence."""
    names = st.text("abz", min_size=1, max_size=3)
    roots = data.draw(st.dictionaries(names, st.binary(min_size=32, max_size=32), min_size=1, max_size=9))
    app_hash, named = judge.build_stores(roots)
    pairs = {name.encode(): root for name, root in roots.items()}
    proofs = {name.encode(): proof for name, proof in named.items()}
    asked = data.draw(st.sampled_from(sorted(pairs)))
    claim = make_claim(TENDERMINT_SPEC, app_hash, pairs, asked, proofs)
    if data.draw(st.booleans(), label="absence"):
        return absence_between(claim, asked, sorted(pairs), proofs)
    return claim


def absence_between(claim: Claim, left: bytes, ordered: list[bytes], proofs: dict[bytes, bytes]) -> Claim:
    """Return the claim that nothing follows a key directly."""
    place = ordered.index(left)
    right = ordered[place + 1] if place + 1 < len(ordered) else None
    absence = proofs_pb2.NonExistenceProof(key=left + b"\0", left=claim.proof.exist)
    if right is not None:
        absence.right.CopyFrom(proofs_pb2.CommitmentProof.FromString(proofs[right]).exist)
    proof = proofs_pb2.CommitmentProof(nonexist=absence)
    return Claim(claim.spec, claim.root, proof, left + b"\0", None, [claim.proof.exist, *claim.others])


def count_verdicts(judge: Judge, source: ClaimSource, *, changed: bool) -> Tally:
    """Judge many claims and return how many there were of each kind."""
    tally = Tally()

    @settings(max_examples=CASES if changed else CASES // 3)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        claim = source(judge, data)
        if changed:
            mutate(data.draw, claim)
        tally.count(compare(judge, claim))

    check()
    return tally


def check_true_claims(judge: Judge, source: ClaimSource) -> Tally:
    """Assert that what a tree makes is verified by both."""
    tally = count_verdicts(judge, source, changed=False)
    assert tally[VERIFIED] == tally.cases >= CASES // 3
    return tally


def check_changed_claims(judge: Judge, source: ClaimSource) -> Tally:
    """Assert that both say the same of changed claims, some of which still hold."""
    tally = count_verdicts(judge, source, changed=True)
    assert tally.cases >= CASES
    assert tally[VERIFIED] >= 20
    assert tally[INVALID] >= 100
    return tally


def test_we_verify_what_iavl_trees_prove(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.IAVL_PROOFS, check_true_claims(judge, iavl_claim))


def test_ics23_verifies_what_our_store_proves(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.STORE_PROOFS, check_true_claims(judge, own_claim))


def test_we_verify_what_simple_maps_prove(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.MAP_PROOFS, check_true_claims(judge, simple_claim))


def test_changed_proofs_of_iavl_trees_have_the_same_verdict(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.CHANGED_IAVL_PROOFS, check_changed_claims(judge, iavl_claim))


def test_changed_proofs_of_our_store_have_the_same_verdict(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.CHANGED_STORE_PROOFS, check_changed_claims(judge, own_claim))


def test_changed_proofs_of_simple_maps_have_the_same_verdict(judge: Judge, report_cases: ReportCases) -> None:
    report_cases(comparisons.CHANGED_MAP_PROOFS, check_changed_claims(judge, simple_claim))


def test_an_inner_node_of_a_simple_map_that_starts_with_another_byte_is_refused_by_us_alone(
    judge: Judge,
) -> None:
    roots = {"bulk": bytes(32), "provable": b"\x11" * 32}
    proof = prove_store(roots, "provable")
    node = proof.exist.path[0]
    node.prefix = b"\x02" + node.prefix[1:]
    claim = Claim(TENDERMINT_SPEC, fold(proof.exist), proof, b"provable", roots["provable"])
    assert compare(judge, claim) == "stricter: InnerMismatch"
