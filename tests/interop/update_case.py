"""Client updates for the judge: sound ones, of which tests then change this and that."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from hypothesis import strategies as st

from ibc.identifiers import Height, height_to_wire, parse_revision
from ibc.tendermint import TrustedState, TrustOptions
from ibc.times import time_to_wire
from ibc.voting import Fraction
from tests.support.ibc import (
    SECOND_NS,
    START_NS,
    TRUSTING_PERIOD_NS,
    absent_slot,
    address_of,
    encode,
    hash_header,
    hash_leaves,
    make_members,
    make_slot,
    make_validator_set,
)
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.types import types_pb2, validator_pb2
from wire.tendermint.version import types_pb2 as version_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tx.keys import SigningKey

COMMIT = validator_pb2.BLOCK_ID_FLAG_COMMIT
NIL = validator_pb2.BLOCK_ID_FLAG_NIL
ABSENT = validator_pb2.BLOCK_ID_FLAG_ABSENT
Flag: TypeAlias = validator_pb2.BlockIDFlag.ValueType

TRUSTED_HEIGHT = 7
VOTE_NS = START_NS + 5 * SECOND_NS
LEVELS = (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(3, 4), Fraction(1, 1), Fraction(2, 5))

powers = st.one_of(st.integers(1, 3), st.integers(1, 60))
member_powers = st.dictionaries(st.integers(0, 4), powers, min_size=1, max_size=5)


@dataclass
class UpdateCase:
    """A header that a client is shown."""

    trusted: TrustedState
    header: tendermint_pb2.Header
    options: TrustOptions
    now_ns: int
    signers: list[SigningKey]
    """Keys of the header's validators, by place."""
    flags: list[Flag]
    """How each of them votes when the header is sealed."""

    @property
    def inner(self) -> types_pb2.Header:
        return self.header.signed_header.header

    @property
    def commit(self) -> types_pb2.Commit:
        return self.header.signed_header.commit

    @property
    def slots(self) -> Sequence[types_pb2.CommitSig]:
        return self.commit.signatures

    def seal(self) -> None:
        """Let the validators vote for the header as it is now."""
        self.inner.validators_hash = hash_set(self.header.validator_set)
        self.sign()

    def sign(self, time_ns: int = VOTE_NS) -> None:
        """Make a commit for the header, whatever it says of its validators."""
        parts = types_pb2.PartSetHeader(total=1, hash=sha256(encode(self.inner)).digest())
        block_id = types_pb2.BlockID(hash=hash_header(self.inner), part_set_header=parts)
        commit = types_pb2.Commit(height=self.inner.height, round=self.commit.round, block_id=block_id)
        for place, (signer, flag) in enumerate(zip(self.signers, self.flags, strict=True)):
            if flag == ABSENT:
                commit.signatures.append(absent_slot())
            else:
                slot = make_slot(self.inner.chain_id, commit, signer, time_ns + place, flag)
                commit.signatures.append(slot)
        self.commit.CopyFrom(commit)

    def trust_these_validators(self) -> None:
        """Let the trusted state announce whatever the trusted validators are now."""
        self.trusted = TrustedState(
            self.trusted.height,
            self.trusted.time_ns,
            self.trusted.root,
            hash_set(self.header.trusted_validators),
        )


def hash_set(validators: validator_pb2.ValidatorSet) -> bytes:
    """Return the hash of a set as it stands in a message."""
    return hash_leaves(
        [
            encode(
                validator_pb2.SimpleValidator(pub_key=validator.pub_key, voting_power=validator.voting_power)
            )
            for validator in validators.validators
        ]
    )


def make_update(
    old: Mapping[int, int],
    new: Mapping[int, int],
    *,
    height: int = TRUSTED_HEIGHT + 4,
    flags: Sequence[Flag] | None = None,
    level: Fraction = LEVELS[0],
    chain_id: str = "sim-3",
    start: int = TRUSTED_HEIGHT,
) -> UpdateCase:
    """Return a sound header by the validators `new`, for a client that trusts the validators `old` from `start` on."""
    trusted_members, members = make_members(old), make_members(new)
    next_hash = hash_set(make_validator_set(trusted_members))
    trusted = TrustedState(start, START_NS + (start - TRUSTED_HEIGHT) * SECOND_NS, bytes(32), next_hash)
    inner = types_pb2.Header(
        version=version_pb2.Consensus(block=11, app=1),
        chain_id=chain_id,
        height=height,
        time=time_to_wire(START_NS + 4 * SECOND_NS),
        last_block_id=types_pb2.BlockID(
            hash=sha256(b"last").digest(),
            part_set_header=types_pb2.PartSetHeader(total=2, hash=sha256(b"parts").digest()),
        ),
        last_commit_hash=sha256(b"last commit").digest(),
        data_hash=sha256(b"").digest(),
        next_validators_hash=sha256(b"next").digest(),
        consensus_hash=sha256(b"consensus").digest(),
        app_hash=sha256(b"app").digest(),
        last_results_hash=sha256(b"").digest(),
        evidence_hash=sha256(b"").digest(),
        proposer_address=address_of(members[0].key),
    )
    header = tendermint_pb2.Header(
        signed_header=types_pb2.SignedHeader(header=inner),
        validator_set=make_validator_set(members),
        trusted_height=height_to_wire(Height(parse_revision(chain_id), start)),
        trusted_validators=make_validator_set(trusted_members),
    )
    options = TrustOptions(chain_id, level, TRUSTING_PERIOD_NS, 10 * SECOND_NS)
    signers = [member.key for member in members]
    votes = [COMMIT] * len(members) if flags is None else list(flags)
    case = UpdateCase(trusted, header, options, START_NS + 8 * SECOND_NS, signers, votes)
    case.seal()
    return case


@st.composite
def new_powers(draw: st.DrawFn, old: Mapping[int, int]) -> dict[int, int]:
    """Return the validators some heights on: the same, or with a third, a half or all of them replaced."""
    kind = draw(st.sampled_from(["same", "some", "some", "all", "powers"]))
    if kind == "same":
        return dict(old)
    if kind == "powers":
        return {number: draw(powers) for number in old}
    kept = set() if kind == "all" else draw(st.sets(st.sampled_from(sorted(old))))
    strangers = draw(st.dictionaries(st.integers(10, 13), powers, min_size=0 if kept else 1, max_size=4))
    return {number: power for number, power in old.items() if number in kept} | strangers


@st.composite
def sound_updates(draw: st.DrawFn) -> UpdateCase:
    """Return headers in which nothing is wrong but, perhaps, how many signed."""
    old = draw(member_powers)
    is_next = draw(st.sampled_from([True, False, False]))
    new = dict(old) if is_next else draw(new_powers(old))
    usual = st.sampled_from([COMMIT] * 5 + [NIL, ABSENT])
    height = TRUSTED_HEIGHT + 1 if is_next else TRUSTED_HEIGHT + draw(st.integers(2, 9))
    return make_update(
        old,
        new,
        height=height,
        flags=draw(st.lists(usual, min_size=len(new), max_size=len(new))),
        level=draw(st.sampled_from(LEVELS)),
        chain_id=draw(st.sampled_from(["sim-3", "sim-3", "sim"])),
    )
