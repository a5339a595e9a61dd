"""Values at their bounds are taken, and the next ones refused in words that say which value it was."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ibc import errors
from ibc.client_state import (
    check_new_client,
    check_type_url,
    client_state_from_wire,
    client_state_to_wire,
    consensus_state_from_wire,
    consensus_state_to_wire,
    make_client_state,
)
from ibc.commit import commit_from_wire
from ibc.header import check_header
from ibc.proof_spec import DEFAULT_SPECS, IAVL_SPEC, SMT_SPEC, spec_from_wire, spec_to_wire
from ibc.tendermint import TrustedState, TrustOptions, check_trust_options
from ibc.times import duration_from_wire, encode_time, time_from_wire
from ibc.validators import validator_set_from_wire
from ibc.voting import Fraction
from tests.support.ibc import DAY_NS, SimulatedChain
from wire.cosmos.ics23.v1 import proofs_pb2
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

CLIENT = make_client_state(SimulatedChain().options(), 21 * DAY_NS, 7, DEFAULT_SPECS)
STATE = TrustedState(7, 5_000_000_123, b"\x01" * 32, b"\x02" * 32)


def refused(expected: str, call: Callable[[], object]) -> None:
    """Check the whole message of a refusal."""
    with pytest.raises(errors.IbcError) as caught:
        call()
    assert caught.value.message == expected


# times


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_good"),
    [
        (-62_135_596_800, 0, True),
        (-62_135_596_801, 0, False),
        (253_402_300_799, 999_999_999, True),
        (253_402_300_800, 0, False),
        (0, 1_000_000_000, False),
        (0, -1, False),
    ],
)
def test_times_are_those_of_the_years_1_to_9999(seconds: int, nanos: int, *, is_good: bool) -> None:
    if is_good:
        assert time_from_wire(Timestamp(seconds=seconds, nanos=nanos)) == seconds * 10**9 + nanos
    else:
        refused(
            f"expected a time of the years 1 to 9999, got {seconds} seconds and {nanos} nanoseconds",
            lambda: time_from_wire(Timestamp(seconds=seconds, nanos=nanos)),
        )


@pytest.mark.parametrize(
    ("seconds", "nanos", "is_good"),
    [
        (0, 1, True),
        (0, 0, False),
        (0, 999_999_999, True),
        (9_223_372_036, 854_775_807, True),
        (9_223_372_036, 854_775_808, False),
        (1, -1, False),
        (1, 1_000_000_000, False),
        (-1, 0, False),
    ],
)
def test_durations_are_positive_and_have_63_bits(seconds: int, nanos: int, *, is_good: bool) -> None:
    duration = Duration(seconds=seconds, nanos=nanos)
    if is_good:
        assert duration_from_wire(duration) == seconds * 10**9 + nanos
    else:
        refused(
            f"expected a positive duration, got {seconds} seconds and {nanos} nanoseconds",
            lambda: duration_from_wire(duration),
        )


def test_a_time_is_encoded_as_protobuf_does() -> None:
    assert encode_time(3_000_000_007) == Timestamp(seconds=3, nanos=7).SerializeToString()
    assert encode_time(-1) == Timestamp(seconds=-1, nanos=999_999_999).SerializeToString()


# trust


def options(**changes: object) -> TrustOptions:
    return replace(TrustOptions("chain", Fraction(1, 3), 1, 1), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": "x"},
        {"chain_id": "x" * 50},
        {"chain_id": "\u00e9" * 25},
        {"trust_level": Fraction(1, 3)},
        {"trust_level": Fraction(1, 1)},
        {"trust_level": Fraction(7, 7)},
        {"trust_level": Fraction(2, 6)},
    ],
)
def test_options_may_reach_their_bounds(changes: dict[str, object]) -> None:
    check_trust_options(options(**changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chain_id": ""}, "expected a chain id of 1 to 50 bytes, got 0"),
        ({"chain_id": "x" * 51}, "expected a chain id of 1 to 50 bytes, got 51"),
        ({"chain_id": "\u00e9" * 26}, "expected a chain id of 1 to 50 bytes, got 52"),
        ({"trust_level": Fraction(1, 4)}, "expected a trust level from 1/3 to 1, got 1/4"),
        ({"trust_level": Fraction(2, 7)}, "expected a trust level from 1/3 to 1, got 2/7"),
        ({"trust_level": Fraction(8, 7)}, "expected a trust level from 1/3 to 1, got 8/7"),
        ({"trust_level": Fraction(0, 0)}, "expected a trust level from 1/3 to 1, got 0/0"),
        ({"trusting_period_ns": 0}, "expected a positive trusting period and clock drift, got 0 and 1 ns"),
        ({"max_clock_drift_ns": 0}, "expected a positive trusting period and clock drift, got 1 and 0 ns"),
    ],
)
def test_options_beyond_their_bounds_are_refused(changes: dict[str, object], expected: str) -> None:
    refused(expected, lambda: check_trust_options(options(**changes)))


# clients


def client_message(mutate: Callable[[tendermint_pb2.ClientState], object]) -> tendermint_pb2.ClientState:
    message = client_state_to_wire(CLIENT)
    mutate(message)
    return message


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(lambda m: m.proof_specs.extend([m.proof_specs[0]] * 6), id="eight specs"),
        pytest.param(lambda m: m.proof_specs.__delitem__(0), id="one spec"),
        pytest.param(lambda m: m.upgrade_path.extend(["k"] * 32), id="32 upgrade keys"),
        pytest.param(lambda m: m.upgrade_path.append("k" * 128), id="upgrade key of 128 bytes"),
        pytest.param(lambda m: setattr(m.latest_height, "revision_height", 1), id="first height"),
        pytest.param(
            lambda m: m.unbonding_period.CopyFrom(Duration(seconds=14 * 86_400, nanos=1)),
            id="shortest unbonding",
        ),
    ],
)
def test_a_client_may_reach_its_bounds(mutate: Callable[[tendermint_pb2.ClientState], object]) -> None:
    message = client_message(mutate)
    assert client_state_to_wire(client_state_from_wire(message)) == message


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(
            lambda m: m.proof_specs.extend([m.proof_specs[0]] * 7),
            "expected 1 to 8 proof specs, got 9",
            id="specs",
        ),
        pytest.param(
            lambda m: m.ClearField("proof_specs"), "expected 1 to 8 proof specs, got 0", id="no spec"
        ),
        pytest.param(
            lambda m: m.upgrade_path.extend(["k"] * 33),
            "expected at most 32 upgrade keys of 1 to 128 bytes, got 33 of 1 to 1 bytes",
            id="upgrade keys",
        ),
        pytest.param(
            lambda m: m.upgrade_path.extend(["k", "k" * 129]),
            "expected at most 32 upgrade keys of 1 to 128 bytes, got 2 of 1 to 129 bytes",
            id="long upgrade key",
        ),
        pytest.param(
            lambda m: m.upgrade_path.extend(["k", ""]),
            "expected at most 32 upgrade keys of 1 to 128 bytes, got 2 of 0 to 1 bytes",
            id="empty upgrade key",
        ),
        pytest.param(
            lambda m: setattr(m.latest_height, "revision_height", 0),
            "expected a latest height from 3-1, got 3-0",
            id="height",
        ),
        pytest.param(
            lambda m: setattr(m.latest_height, "revision_number", 4),
            "expected a latest height from 3-1, got 4-7",
            id="revision",
        ),
        pytest.param(
            lambda m: m.unbonding_period.CopyFrom(Duration(seconds=14 * 86_400)),
            f"expected a trusting period below the unbonding period of {14 * DAY_NS} ns, got {14 * DAY_NS}",
            id="unbonding",
        ),
    ],
)
def test_a_client_beyond_its_bounds_is_refused(
    mutate: Callable[[tendermint_pb2.ClientState], object], expected: str
) -> None:
    refused(expected, lambda: client_state_from_wire(client_message(mutate)))


def test_a_consensus_state_is_of_a_time_after_1970() -> None:
    first = replace(STATE, time_ns=1)
    assert consensus_state_from_wire(consensus_state_to_wire(first), 7) == first
    zero = consensus_state_to_wire(replace(STATE, time_ns=0))
    refused("expected a time after 1970, got 0", lambda: consensus_state_from_wire(zero, 7))
    short = consensus_state_to_wire(replace(STATE, next_validators_hash=bytes(31)))
    expected = "expected a hash of 32 bytes of the next validators, got 31"
    refused(expected, lambda: consensus_state_from_wire(short, 7))


def test_what_a_new_client_may_not_start_from_is_named() -> None:
    expected = "expected a client that is not frozen, got one frozen at 0-1"
    refused(expected, lambda: check_new_client(CLIENT.freeze(), STATE))
    expected = "expected a root of 32 bytes, got 33"
    refused(expected, lambda: check_new_client(CLIENT, replace(STATE, root=bytes(33))))


def test_another_type_is_shown_in_part() -> None:
    packed = AnyMessage(type_url="x" * 129)
    refused(f"expected a /header, got a {'x' * 128!r}", lambda: check_type_url(packed, "/header"))
    check_type_url(AnyMessage(type_url="/header"), "/header")


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
