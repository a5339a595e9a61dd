"""A CometBFT chain in memory that signs real headers.

Hashes and sign bytes are made here with the message classes of the protocol, where `ibc.header` has encoders of its
own: each checks the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from google.protobuf.wrappers_pb2 import BytesValue, Int64Value, StringValue

from ibc.identifiers import Height, height_to_wire, parse_revision
from ibc.tendermint import TrustedState, TrustOptions
from ibc.times import GO_ZERO_TIME_NS, time_to_wire
from ibc.voting import Fraction
from tx.keys import SigningKey
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.crypto import keys_pb2
from wire.tendermint.types import canonical_pb2, types_pb2, validator_pb2
from wire.tendermint.version import types_pb2 as version_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

START_NS = 1_800_000_000_123_456_789
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
TRUSTING_PERIOD_NS = 14 * DAY_NS
ONE_THIRD = Fraction(1, 3)


def encode(message: Message) -> bytes:
    """Return the deterministic encoding."""
    return message.SerializeToString(deterministic=True)


def validator_key(number: int) -> SigningKey:
    """Return the same validator key for the same number."""
    return SigningKey.from_seed(sha256(b"validator %d" % number).digest())


def address_of(key: SigningKey) -> bytes:
    """Return the address of a validator."""
    return sha256(key.public_key).digest()[:20]


def hash_leaves(leaves: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 root by its recursive definition."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + hash_leaves(leaves[:split]) + hash_leaves(leaves[split:])).digest()


@dataclass(frozen=True)
class Member:
    """A validator with its key."""

    key: SigningKey
    power: int

    def to_wire(self) -> validator_pb2.Validator:
        public_key = keys_pb2.PublicKey(ed25519=self.key.public_key)
        return validator_pb2.Validator(
            address=address_of(self.key), pub_key=public_key, voting_power=self.power
        )


Members = tuple[Member, ...]


def make_members(powers: Mapping[int, int]) -> Members:
    """Return validators by key number and power, in CometBFT's order."""
    members = [Member(validator_key(number), power) for number, power in powers.items()]
    return tuple(sorted(members, key=lambda member: (-member.power, address_of(member.key))))


def make_validator_set(members: Members) -> validator_pb2.ValidatorSet:
    """Return the set as a message."""
    wires = [member.to_wire() for member in members]
    return validator_pb2.ValidatorSet(validators=wires, proposer=wires[0])


def hash_members(members: Members) -> bytes:
    """Return the hash of the set."""
    return hash_leaves(
        [
            encode(
                validator_pb2.SimpleValidator(
                    pub_key=keys_pb2.PublicKey(ed25519=member.key.public_key), voting_power=member.power
                )
            )
            for member in members
        ]
    )


def hash_header(header: types_pb2.Header) -> bytes:
    """Return the hash of a header."""
    last = types_pb2.BlockID()
    last.CopyFrom(header.last_block_id)
    last.part_set_header.SetInParent()
    blobs = (
        header.last_commit_hash,
        header.data_hash,
        header.validators_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.app_hash,
        header.last_results_hash,
        header.evidence_hash,
        header.proposer_address,
    )
    return hash_leaves(
        [
            encode(header.version),
            encode(StringValue(value=header.chain_id)),
            encode(Int64Value(value=header.height)),
            encode(header.time),
            encode(last),
            *(encode(BytesValue(value=blob)) for blob in blobs),
        ]
    )


def make_sign_bytes(chain_id: str, commit: types_pb2.Commit, slot: types_pb2.CommitSig) -> bytes:
    """Return what a validator signs for its slot in a commit."""
    vote = canonical_pb2.CanonicalVote(
        type=types_pb2.SIGNED_MSG_TYPE_PRECOMMIT,
        height=commit.height,
        round=commit.round,
        timestamp=slot.timestamp,
        chain_id=chain_id,
    )
    if slot.block_id_flag == validator_pb2.BLOCK_ID_FLAG_COMMIT:
        parts = commit.block_id.part_set_header
        vote.block_id.hash = commit.block_id.hash
        vote.block_id.part_set_header.CopyFrom(
            canonical_pb2.CanonicalPartSetHeader(total=parts.total, hash=parts.hash)
        )
    body = encode(vote)
    return encode(BytesValue(value=body))[1:]  # the length in front of a field's bytes, without its tag


def make_slot(
    chain_id: str,
    commit: types_pb2.Commit,
    key: SigningKey,
    time_ns: int,
    flag: validator_pb2.BlockIDFlag.ValueType = validator_pb2.BLOCK_ID_FLAG_COMMIT,
) -> types_pb2.CommitSig:
    """Return a validator's signed slot."""
    slot = types_pb2.CommitSig(
        block_id_flag=flag, validator_address=address_of(key), timestamp=time_to_wire(time_ns)
    )
    slot.signature = key.sign(make_sign_bytes(chain_id, commit, slot))
    return slot


def absent_slot() -> types_pb2.CommitSig:
    """Return the slot of a validator that did not vote, as Go writes it."""
    return types_pb2.CommitSig(
        block_id_flag=validator_pb2.BLOCK_ID_FLAG_ABSENT, timestamp=time_to_wire(GO_ZERO_TIME_NS)
    )


def sign_header(
    header: types_pb2.Header, members: Members, voters: Sequence[int] | None = None, round_number: int = 0
) -> types_pb2.LightBlock:
    """Return a light block; `voters` are places in the set, all by default."""
    block_id = types_pb2.BlockID(
        hash=hash_header(header),
        part_set_header=types_pb2.PartSetHeader(total=1, hash=sha256(encode(header)).digest()),
    )
    commit = types_pb2.Commit(height=header.height, round=round_number, block_id=block_id)
    time_ns = header.time.ToNanoseconds() + SECOND_NS
    for place, member in enumerate(members):
        voted = voters is None or place in voters
        slot = make_slot(header.chain_id, commit, member.key, time_ns + place) if voted else absent_slot()
        commit.signatures.append(slot)
    return types_pb2.LightBlock(
        signed_header=types_pb2.SignedHeader(header=header, commit=commit),
        validator_set=make_validator_set(members),
    )


@dataclass
class SimulatedChain:
    """A chain's blocks, made one after the other."""

    chain_id: str = "sim-3"
    members: Members = field(default_factory=lambda: make_members({0: 10, 1: 10, 2: 10, 3: 10}))
    """Validators of the next block."""
    time_ns: int = START_NS
    """Time of the next block."""
    interval_ns: int = SECOND_NS
    blocks: list[types_pb2.LightBlock] = field(default_factory=list)
    history: list[Members] = field(default_factory=list)

    @property
    def height(self) -> int:
        return len(self.blocks)

    @property
    def revision(self) -> int:
        return parse_revision(self.chain_id)

    def add_block(
        self,
        app_hash: bytes = bytes(32),
        *,
        successors: Members | None = None,
        voters: Sequence[int] | None = None,
        round_number: int = 0,
    ) -> types_pb2.LightBlock:
        """Make the next block; `successors` are the validators of the one after it, if they change."""
        header = self.make_header(app_hash, successors)
        block = sign_header(header, self.members, voters, round_number)
        self.blocks.append(block)
        self.history.append(self.members)
        self.members = self.members if successors is None else successors
        self.time_ns += self.interval_ns
        return block

    def make_header(self, app_hash: bytes = bytes(32), successors: Members | None = None) -> types_pb2.Header:
        """Return the header of the next block."""
        last = types_pb2.BlockID()
        if self.blocks:
            last.CopyFrom(self.blocks[-1].signed_header.commit.block_id)
        return types_pb2.Header(
            version=version_pb2.Consensus(block=11, app=1),
            chain_id=self.chain_id,
            height=self.height + 1,
            time=time_to_wire(self.time_ns),
            last_block_id=last,
            last_commit_hash=sha256(b"last commit").digest(),
            data_hash=sha256(b"").digest(),
            validators_hash=hash_members(self.members),
            next_validators_hash=hash_members(self.members if successors is None else successors),
            consensus_hash=sha256(b"consensus").digest(),
            app_hash=app_hash,
            last_results_hash=sha256(b"").digest(),
            evidence_hash=sha256(b"").digest(),
            proposer_address=address_of(self.members[0].key),
        )

    def add_blocks(self, count: int) -> None:
        """Make blocks that change nothing."""
        for _ in range(count):
            self.add_block()

    def light_block(self, height: int) -> types_pb2.LightBlock:
        return self.blocks[height - 1]

    def members_at(self, height: int) -> Members:
        return self.history[height - 1] if height <= self.height else self.members

    def trusted_state(self, height: int) -> TrustedState:
        header = self.light_block(height).signed_header.header
        time_ns = header.time.ToNanoseconds()
        return TrustedState(height, time_ns, header.app_hash, header.next_validators_hash)

    def update(self, trusted_height: int, height: int) -> tendermint_pb2.Header:
        """Return the header that leads from one height to another."""
        return self.wrap(self.light_block(height), trusted_height)

    def wrap(self, block: types_pb2.LightBlock, trusted_height: int) -> tendermint_pb2.Header:
        """Return the client message of any light block."""
        return tendermint_pb2.Header(
            signed_header=block.signed_header,
            validator_set=block.validator_set,
            trusted_height=height_to_wire(Height(self.revision, trusted_height)),
            trusted_validators=make_validator_set(self.members_at(trusted_height + 1)),
        )

    def options(self, trust_level: Fraction = ONE_THIRD) -> TrustOptions:
        return TrustOptions(self.chain_id, trust_level, TRUSTING_PERIOD_NS, 10 * SECOND_NS)
