from __future__ import annotations

from hashlib import sha256

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from ibc.header import VoteEncoder, block_id_from_wire, header_hash
from ibc.protowire import encode_uvarint, sfixed64_field
from ibc.rfc6962 import merkle_root
from ibc.times import GO_ZERO_TIME_NS, duration_from_wire, duration_to_wire, time_from_wire, time_to_wire
from ibc.validators import validator_set_from_wire
from tests.support.ibc import (
    hash_header,
    hash_leaves,
    hash_members,
    make_members,
    make_sign_bytes,
    make_validator_set,
)
from wire.tendermint.types import canonical_pb2, types_pb2, validator_pb2
from wire.tendermint.version import types_pb2 as version_pb2

hashes = st.sampled_from([b"", bytes(32), sha256(b"a").digest()])
times_ns = st.one_of(
    st.integers(GO_ZERO_TIME_NS, 253_402_300_799_999_999_999), st.sampled_from([0, 10**9, GO_ZERO_TIME_NS])
)
block_ids = st.builds(
    lambda name, total, parts: types_pb2.BlockID(
        hash=name, part_set_header=types_pb2.PartSetHeader(total=total, hash=parts)
    ),
    hashes,
    st.integers(0, (1 << 32) - 1),
    hashes,
)
headers = st.builds(
    types_pb2.Header,
    version=st.builds(
        version_pb2.Consensus, block=st.integers(0, (1 << 64) - 1), app=st.integers(0, (1 << 64) - 1)
    ),
    chain_id=st.text(max_size=20),
    height=st.integers(1, (1 << 63) - 1),
    time=times_ns.map(time_to_wire),
    last_block_id=st.one_of(st.none(), block_ids),
    last_commit_hash=hashes,
    data_hash=hashes,
    validators_hash=hashes,
    next_validators_hash=hashes,
    consensus_hash=hashes,
    app_hash=st.binary(max_size=40),
    last_results_hash=hashes,
    evidence_hash=hashes,
    proposer_address=st.sampled_from([b"", bytes(20)]),
)


@given(headers)
def test_a_header_hashes_as_the_protocols_messages_encode(header: types_pb2.Header) -> None:
    assert header_hash(header) == hash_header(header)


@given(
    st.text(max_size=50),
    st.integers(1, (1 << 63) - 1),
    st.integers(0, (1 << 31) - 1),
    block_ids,
    times_ns,
)
def test_sign_bytes_are_those_of_the_canonical_vote(
    chain_id: str, height: int, round_number: int, block_id: types_pb2.BlockID, time_ns: int
) -> None:
    commit = types_pb2.Commit(height=height, round=round_number, block_id=block_id)
    slot = types_pb2.CommitSig(
        block_id_flag=validator_pb2.BLOCK_ID_FLAG_COMMIT, timestamp=time_to_wire(time_ns)
    )
    encoder = VoteEncoder(chain_id, height, round_number, block_id_from_wire(block_id))
    assert encoder.sign_bytes(time_ns) == make_sign_bytes(chain_id, commit, slot)


def test_the_sign_bytes_of_a_vote_for_no_block_leave_the_block_out() -> None:
    slot = types_pb2.CommitSig(block_id_flag=validator_pb2.BLOCK_ID_FLAG_NIL, timestamp=time_to_wire(7))
    expected = make_sign_bytes("chain", types_pb2.Commit(height=5, round=2), slot)
    assert VoteEncoder("chain", 5, 2, None).sign_bytes(7) == expected


@pytest.mark.parametrize("number", [0, 1, -1, (1 << 63) - 1, -(1 << 63)])
def test_an_integer_of_fixed_size_is_that_of_protobuf(number: int) -> None:
    expected = canonical_pb2.CanonicalVote(height=number).SerializeToString()
    assert sfixed64_field(2, number) == expected


def test_sign_bytes_of_a_known_vote() -> None:
    """The first vector of CometBFT's TestVoteSignBytesTestVectors that has a height and a round."""
    encoded = VoteEncoder("", 1, 1, None).sign_bytes(GO_ZERO_TIME_NS)
    assert encoded.hex() == ("2108021101000000000000001901000000000000002a0b088092b8c398feffffff01")


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_a_merkle_root_is_the_recursively_defined_one(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == hash_leaves(leaves)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100])
def test_a_validator_set_hashes_as_its_messages_encode(count: int) -> None:
    members = make_members({number: 1 + number**3 for number in range(count)})
    parsed = validator_set_from_wire(make_validator_set(members))
    assert parsed.hash == hash_members(members)
    assert parsed.total_power == sum(member.power for member in members)


@given(times_ns)
def test_a_time_survives_the_wire(time_ns: int) -> None:
    assert time_from_wire(time_to_wire(time_ns)) == time_ns


@given(st.integers(1, (1 << 63) - 1))
def test_a_duration_survives_the_wire(duration_ns: int) -> None:
    assert duration_from_wire(duration_to_wire(duration_ns)) == duration_ns


@given(st.integers(0, (1 << 64) - 1))
@example(127)
@example(128)
@example(16_383)
@example(16_384)
@example((1 << 64) - 1)
def test_a_varint_is_that_of_protobuf(number: int) -> None:
    encoded = Timestamp(seconds=number - (1 << 64) if number >> 63 else number).SerializeToString()
    assert encode_uvarint(number) == (encoded[1:] or b"\x00")
