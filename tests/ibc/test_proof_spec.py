from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ibc.errors import UnsupportedProofSpec
from ibc.proof_spec import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC, ProofSpec, spec_from_wire, spec_to_wire
from wire.cosmos.ics23.v1 import proofs_pb2

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("spec", [IAVL_SPEC, TENDERMINT_SPEC, SMT_SPEC], ids=["iavl", "tendermint", "smt"])
def test_a_spec_survives_the_wire(spec: ProofSpec) -> None:
    assert spec_from_wire(spec_to_wire(spec)) == spec


def test_the_default_specs_encode_as_in_ibc_go() -> None:
    """Bytes that ibc-go's `GetSDKSpecs` marshals to."""
    iavl = spec_to_wire(IAVL_SPEC).SerializeToString(deterministic=True)
    assert iavl.hex() == "0a090801180120012a0100120c0a02000110211804200c3001"
    tendermint = spec_to_wire(TENDERMINT_SPEC).SerializeToString(deterministic=True)
    assert tendermint.hex() == "0a090801180120012a0100120c0a0200011020180120013001"


def test_iavl_and_simple_maps_have_nodes_of_their_own() -> None:
    specs = (IAVL_SPEC, TENDERMINT_SPEC, SMT_SPEC)
    assert [spec.has_iavl_nodes for spec in specs] == [True, False, False]
    assert [spec.has_simple_nodes for spec in specs] == [False, True, False]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda spec: replace(spec, prehash_key=True), id="prehash key"),
        pytest.param(lambda spec: replace(spec, prehash_value=False), id="prehash value"),
        pytest.param(lambda spec: replace(spec, length_prefix=False), id="length prefix"),
        pytest.param(lambda spec: replace(spec, child_size=34), id="child size"),
        pytest.param(lambda spec: replace(spec, min_prefix=0), id="min prefix"),
        pytest.param(lambda spec: replace(spec, max_prefix=13), id="max prefix"),
    ],
)
def test_a_spec_that_differs_from_a_known_one_in_one_thing_is_another(
    change: Callable[[ProofSpec], ProofSpec],
) -> None:
    assert not change(IAVL_SPEC).has_iavl_nodes
    assert not change(TENDERMINT_SPEC).has_simple_nodes


def _leaf(name: str, value: object) -> Callable[[proofs_pb2.ProofSpec], None]:
    return lambda spec: setattr(spec.leaf_spec, name, value)


def _inner(name: str, value: object) -> Callable[[proofs_pb2.ProofSpec], None]:
    return lambda spec: setattr(spec.inner_spec, name, value)


def _order(*order: int) -> Callable[[proofs_pb2.ProofSpec], None]:
    def edit(spec: proofs_pb2.ProofSpec) -> None:
        spec.inner_spec.child_order[:] = order

    return edit


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(lambda spec: spec.ClearField("leaf_spec"), id="no leaf spec"),
        pytest.param(lambda spec: spec.ClearField("inner_spec"), id="no inner spec"),
        pytest.param(_leaf("hash", proofs_pb2.SHA512), id="leaf hash"),
        pytest.param(_leaf("prehash_key", proofs_pb2.BLAKE3), id="prehash of the key"),
        pytest.param(_leaf("prehash_value", proofs_pb2.RIPEMD160), id="prehash of the value"),
        pytest.param(_leaf("length", proofs_pb2.VAR_RLP), id="length"),
        pytest.param(_leaf("length", proofs_pb2.NO_PREFIX), id="neither hashes nor lengths"),
        pytest.param(_leaf("prefix", b""), id="no leaf prefix"),
        pytest.param(_leaf("prefix", b"12345"), id="leaf prefix longer than an inner one"),
        pytest.param(_inner("hash", proofs_pb2.KECCAK256), id="inner hash"),
        pytest.param(_inner("child_size", 0), id="child size zero"),
        pytest.param(_inner("child_size", 31), id="child smaller than a hash"),
        pytest.param(_inner("child_size", -33), id="child size negative"),
        pytest.param(_inner("child_size", 1 << 30), id="child size huge"),
        pytest.param(_inner("min_prefix_length", -1), id="min prefix negative"),
        pytest.param(_inner("max_prefix_length", 3), id="max prefix below min prefix"),
        pytest.param(_inner("max_prefix_length", 4 + 33), id="max prefix that hides a child"),
        pytest.param(_inner("empty_child", b"1"), id="empty child of another size"),
        pytest.param(_order(), id="no children"),
        pytest.param(_order(0), id="one child"),
        pytest.param(_order(1, 0), id="children out of order"),
        pytest.param(_order(0, 1, 2), id="three children"),
        pytest.param(lambda spec: setattr(spec, "min_depth", -1), id="min depth negative"),
        pytest.param(lambda spec: setattr(spec, "max_depth", -1), id="max depth negative"),
    ],
)
def test_an_unsound_spec_is_refused(mutate: Callable[[proofs_pb2.ProofSpec], None]) -> None:
    spec = spec_to_wire(IAVL_SPEC)
    mutate(spec)
    with pytest.raises(UnsupportedProofSpec):
        spec_from_wire(spec)
