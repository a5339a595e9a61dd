"""Headers, commits, validator sets and proof specs at their bounds are taken, and what is beyond them is named."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from ibc.commit import commit_from_wire
from ibc.header import check_header
from ibc.proof_spec import IAVL_SPEC, SMT_SPEC, spec_from_wire, spec_to_wire
from ibc.validators import validator_set_from_wire
from tests.support.ibc import SimulatedChain
from tests.support.ibc_refusals import refused
from wire.cosmos.ics23.v1 import proofs_pb2
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable


# headers and commits


@pytest.mark.parametrize(
    ("field", "name", "sizes"),
    [
        ("last_commit_hash", "last commit hash", (0, 32)),
        ("data_hash", "data hash", (0, 32)),
        ("consensus_hash", "consensus hash", (0, 32)),
        ("last_results_hash", "last results hash", (0, 32)),
        ("evidence_hash", "evidence hash", (0, 32)),
        ("validators_hash", "validators hash", (32,)),
        ("next_validators_hash", "next validators hash", (32,)),
        ("proposer_address", "proposer address", (20,)),
    ],
)
def test_a_field_of_a_header_has_one_of_its_sizes(field: str, name: str, sizes: tuple[int, ...]) -> None:
    wanted = f"{sizes[-1]} bytes" + (" or none" if 0 in sizes else "")
    for size in (0, 1, 19, 20, 21, 31, 32, 33):
        header = SimulatedChain().make_header()
        setattr(header, field, bytes(size))
        if size in sizes:
            check_header(header)
        else:
            refused(f"expected a {name} of {wanted}, got {size}", partial(check_header, header))


@pytest.mark.parametrize("name", ["block hash", "parts hash"])
def test_a_hash_of_a_block_id_is_named(name: str) -> None:
    header = SimulatedChain().make_header()
    named = header.last_block_id if name == "block hash" else header.last_block_id.part_set_header
    named.hash = bytes(31)
    refused(f"expected a {name} of 32 bytes or none, got 31", lambda: check_header(header))


def test_the_first_height_is_one() -> None:
    header = SimulatedChain().make_header()
    assert header.height == 1
    check_header(header)
    header.height = 0
    refused("expected a height from 1, got 0", lambda: check_header(header))
    header.height = 1
    header.version.block = 12
    refused("expected block protocol 11, got 12", lambda: check_header(header))
    header.version.block = 11
    header.time.nanos = -1
    seconds = header.time.seconds
    expected = f"expected a time of the years 1 to 9999, got {seconds} seconds and -1 nanoseconds"
    refused(expected, lambda: check_header(header))
    header.ClearField("time")
    refused("expected a time, got none", lambda: check_header(header))


def make_commit() -> types_pb2.Commit:
    chain = SimulatedChain()
    return chain.add_block().signed_header.commit


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        (lambda c: setattr(c, "height", 0), "expected a height from 1 and a round from 0, got 0 and 0"),
        (lambda c: setattr(c, "round", -1), "expected a height from 1 and a round from 0, got 1 and -1"),
        (lambda c: c.ClearField("block_id"), "expected a commit for a block, got one for none"),
        (lambda c: c.ClearField("signatures"), "expected a vote for the block, got none in 0 slots"),
        (
            lambda c: setattr(c.signatures[0], "block_id_flag", 4),
            "expected a vote that is absent, for the block or for none, got flag 4",
        ),
        (
            lambda c: setattr(c.signatures[0], "validator_address", bytes(21)),
            "expected an address of 20 bytes, got 21",
        ),
        (
            lambda c: setattr(c.signatures[0], "signature", b""),
            "expected a signature of 1 to 96 bytes, got 0",
        ),
        (
            lambda c: setattr(c.signatures[0], "signature", bytes(97)),
            "expected a signature of 1 to 96 bytes, got 97",
        ),
        (lambda c: c.signatures[0].ClearField("timestamp"), "expected a time in a vote, got none"),
        (
            lambda c: setattr(c.signatures[0], "block_id_flag", 1),
            "expected nothing in the slot of an absent vote, got address, time or signature",
        ),
        (
            lambda c: c.signatures.extend([absent_vote()] * 9_997),
            "expected at most 10000 slots, got 10001",
        ),
    ],
)
def test_what_is_wrong_with_a_commit_is_named(
    mutate: Callable[[types_pb2.Commit], object], expected: str
) -> None:
    commit = make_commit()
    mutate(commit)
    refused(expected, lambda: commit_from_wire(commit))


def absent_vote() -> types_pb2.CommitSig:
    return types_pb2.CommitSig(block_id_flag=validator_pb2.BLOCK_ID_FLAG_ABSENT)


def test_a_commit_may_reach_its_bounds() -> None:
    commit = make_commit()
    commit.signatures[0].signature = b"x"
    commit.signatures[1].signature = bytes(96)
    commit.signatures.extend([absent_vote()] * 9_996)
    parsed = commit_from_wire(commit)
    assert (len(parsed.slots), parsed.round_number) == (10_000, 0)
    assert [slot is None for slot in parsed.slots[3:5]] == [False, True]


def test_one_vote_for_the_block_is_enough_for_a_commit() -> None:
    commit = make_commit()
    for slot in commit.signatures[1:]:
        slot.block_id_flag = validator_pb2.BLOCK_ID_FLAG_NIL
    parsed = commit_from_wire(commit)
    assert [slot is None for slot in parsed.slots] == [False, True, True, True]
    commit.signatures[0].block_id_flag = validator_pb2.BLOCK_ID_FLAG_NIL
    refused("expected a vote for the block, got none in 4 slots", lambda: commit_from_wire(commit))


def test_what_is_wrong_with_a_validator_set_is_named() -> None:
    chain = SimulatedChain()
    block = chain.add_block()
    first = block.validator_set.validators[0]

    def broken(mutate: Callable[[validator_pb2.Validator], object]) -> Callable[[], object]:
        copy = validator_pb2.ValidatorSet()
        copy.CopyFrom(block.validator_set)
        mutate(copy.validators[0])
        return lambda: validator_set_from_wire(copy)

    refused(
        "expected an ed25519 key, got secp256k1", broken(lambda v: setattr(v.pub_key, "secp256k1", bytes(33)))
    )
    refused("expected an ed25519 key, got an unknown one", broken(lambda v: v.ClearField("pub_key")))
    refused("expected a key of 32 bytes, got 33", broken(lambda v: setattr(v.pub_key, "ed25519", bytes(33))))
    address = first.address.hex()
    refused(f"expected address {address}, got 00", broken(lambda v: setattr(v, "address", b"\0")))
    bound = ((1 << 63) - 1) // 8
    expected = f"expected powers from 0 to a sum of {bound}, got -1"
    refused(expected, broken(lambda v: setattr(v, "voting_power", -1)))
    twice = broken(lambda v: v.CopyFrom(block.validator_set.validators[1]))
    address = block.validator_set.validators[1].address.hex()
    refused(f"expected each validator once, got {address} twice", twice)
    empty = validator_pb2.ValidatorSet()
    refused("expected at least one validator, got none", lambda: validator_set_from_wire(empty))


def test_a_validator_may_have_no_power() -> None:
    block = SimulatedChain().add_block()
    block.validator_set.validators[0].voting_power = 0
    assert validator_set_from_wire(block.validator_set).total_power == 30


# proof specs


def spec_message(mutate: Callable[[proofs_pb2.ProofSpec], object]) -> proofs_pb2.ProofSpec:
    message = spec_to_wire(IAVL_SPEC)
    mutate(message)
    return message


def inner(**values: int) -> Callable[[proofs_pb2.ProofSpec], object]:
    def mutate(spec: proofs_pb2.ProofSpec) -> None:
        for name, value in values.items():
            setattr(spec.inner_spec, name, value)

    return mutate


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(inner(child_size=32), id="smallest child"),
        pytest.param(inner(child_size=64), id="largest child"),
        pytest.param(inner(min_prefix_length=1), id="leaf prefix as long as the shortest prefix"),
        pytest.param(inner(min_prefix_length=12), id="prefixes of one length"),
        pytest.param(inner(max_prefix_length=36), id="longest prefix below a child more"),
        pytest.param(lambda s: setattr(s.inner_spec, "empty_child", bytes(33)), id="empty child"),
        pytest.param(lambda s: setattr(s, "max_depth", 1), id="most nodes"),
        pytest.param(lambda s: setattr(s, "min_depth", 1), id="fewest nodes"),
        pytest.param(
            lambda s: setattr(s.leaf_spec, "prehash_value", proofs_pb2.NO_HASH), id="value as it is"
        ),
    ],
)
def test_a_spec_may_reach_its_bounds(mutate: Callable[[proofs_pb2.ProofSpec], object]) -> None:
    message = spec_message(mutate)
    assert spec_to_wire(spec_from_wire(message)) == message


PREFIXES = "expected 1 <= leaf prefix <= min prefix <= max prefix < min prefix + child size, got "


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        (inner(child_size=31), "expected a child size of 32 to 64, got 31"),
        (inner(child_size=65), "expected a child size of 32 to 64, got 65"),
        (lambda s: setattr(s.leaf_spec, "prefix", b""), f"{PREFIXES}0, 4, 12 and 33"),
        (lambda s: setattr(s.leaf_spec, "prefix", bytes(5)), f"{PREFIXES}5, 4, 12 and 33"),
        (inner(max_prefix_length=3), f"{PREFIXES}1, 4, 3 and 33"),
        (inner(max_prefix_length=37), f"{PREFIXES}1, 4, 37 and 33"),
        (
            lambda s: setattr(s.inner_spec, "empty_child", bytes(32)),
            "expected an empty child of 33 bytes, got 32",
        ),
        (lambda s: setattr(s, "max_depth", -1), "expected depths from 0, got 0 and -1"),
        (lambda s: setattr(s, "min_depth", -1), "expected depths from 0, got -1 and 0"),
        (
            lambda s: setattr(s.leaf_spec, "hash", proofs_pb2.SHA512),
            f"expected SHA-256 for all nodes, got {proofs_pb2.SHA512} and 1",
        ),
        (
            lambda s: setattr(s.leaf_spec, "prehash_key", proofs_pb2.SHA512),
            f"expected no hash or SHA-256 before hashing a leaf, got {proofs_pb2.SHA512}",
        ),
        (
            lambda s: setattr(s.leaf_spec, "length", proofs_pb2.VAR_RLP),
            f"expected no length or a varint before leaf data, got {proofs_pb2.VAR_RLP}",
        ),
        (
            lambda s: setattr(s.leaf_spec, "length", proofs_pb2.NO_PREFIX),
            "expected key and value of a leaf to be hashed or to have lengths, got neither",
        ),
        (
            lambda s: s.inner_spec.child_order.extend(range(2, 9)),
            "expected two children in order, got [0, 1, 2, 3, 4, 5, 6, 7]",
        ),
    ],
)
def test_a_spec_beyond_its_bounds_is_refused(
    mutate: Callable[[proofs_pb2.ProofSpec], object], expected: str
) -> None:
    refused(expected, lambda: spec_from_wire(spec_message(mutate)))


@pytest.mark.parametrize("name", ["prehash_key", "prehash_value"])
def test_without_lengths_key_and_value_are_both_hashed(name: str) -> None:
    message = spec_to_wire(SMT_SPEC)
    spec_from_wire(message)
    setattr(message.leaf_spec, name, proofs_pb2.NO_HASH)
    expected = "expected key and value of a leaf to be hashed or to have lengths, got neither"
    refused(expected, lambda: spec_from_wire(message))
