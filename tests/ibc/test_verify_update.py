"""The light client's checks, one by one; letters are those of `verify_update`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from ibc import errors
from ibc.tendermint import (
    Invalid,
    NotEnoughTrust,
    TrustedState,
    TrustOptions,
    Verified,
    check_trust_options,
    verify_update,
)
from ibc.times import time_to_wire
from ibc.voting import Fraction
from tests.support.ibc import (
    SECOND_NS,
    START_NS,
    TRUSTING_PERIOD_NS,
    Members,
    SimulatedChain,
    absent_slot,
    make_members,
    make_slot,
    make_validator_set,
    sign_header,
    validator_key,
)
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Case:
    """An update that verifies, for tests that then break one thing."""

    chain: SimulatedChain = field(default_factory=SimulatedChain)
    trusted_height: int = 1
    height: int = 2
    now_ns: int = START_NS + 20 * SECOND_NS
    header: tendermint_pb2.Header = field(init=False)
    trusted: TrustedState = field(init=False)
    options: TrustOptions = field(init=False)

    def __post_init__(self) -> None:
        if not self.chain.blocks:
            self.chain.add_blocks(6)
        self.header = tendermint_pb2.Header()
        self.header.CopyFrom(self.chain.update(self.trusted_height, self.height))
        self.trusted = self.chain.trusted_state(self.trusted_height)
        self.options = self.chain.options()

    @property
    def inner(self) -> types_pb2.Header:
        return self.header.signed_header.header

    @property
    def commit(self) -> types_pb2.Commit:
        return self.header.signed_header.commit

    @property
    def members(self) -> Members:
        return self.chain.members_at(self.height)

    def sign_again(self, voters: Sequence[int] | None = None) -> None:
        """Let the validators sign the header as it is now."""
        block = sign_header(self.inner, self.members, voters)
        self.header.signed_header.commit.CopyFrom(block.signed_header.commit)

    def vote(self, place: int, key_number: int | None = None, flag: int = 2) -> None:
        """Replace a slot by a freshly signed one, of the validator in its place or of another key."""
        key = self.members[place].key if key_number is None else validator_key(key_number)
        wire_flag = validator_pb2.BLOCK_ID_FLAG_NIL if flag == 3 else validator_pb2.BLOCK_ID_FLAG_COMMIT
        slot = make_slot(self.chain.chain_id, self.commit, key, START_NS, wire_flag)
        self.commit.signatures[place].CopyFrom(slot)

    def check(self) -> Verified | NotEnoughTrust | Invalid:
        return verify_update(self.trusted, self.header, self.options, self.now_ns)

    def refused(self, expected: type[errors.IbcError]) -> None:
        verdict = self.check()
        assert isinstance(verdict, Invalid)
        assert type(verdict.error) is expected, verdict.error


def skipping() -> Case:
    return Case(height=5)


both_ways = pytest.mark.parametrize("make_case", [Case, skipping], ids=["next height", "far height"])


@both_ways
def test_a_good_header_is_verified_and_becomes_trusted(make_case: Callable[[], Case]) -> None:
    case = make_case()
    assert case.check() == Verified(case.chain.trusted_state(case.height))


# a. the trusted validators


@both_ways
def test_other_trusted_validators_are_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.trusted_validators.CopyFrom(make_validator_set(make_members({7: 10})))
    case.refused(errors.ValidatorSetMismatch)


def test_missing_trusted_validators_are_refused() -> None:
    case = skipping()
    case.header.ClearField("trusted_validators")
    case.refused(errors.MalformedValidatorSet)


@both_ways
def test_a_header_that_starts_elsewhere_is_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.trusted_height.revision_height = 4
    case.refused(errors.TrustedHeightMismatch)


# b. revision and height


@both_ways
def test_another_revision_is_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.trusted_height.revision_number = 4
    case.refused(errors.TrustedHeightMismatch)


@pytest.mark.parametrize("height", [1, 2, 3])
def test_a_header_that_is_not_above_the_trusted_height_is_refused(height: int) -> None:
    case = Case(trusted_height=3, height=height)
    case.refused(errors.HeightNotNewer)


# c. well-formed, and one whole


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(
            lambda case: case.header.ClearField("signed_header"), errors.MalformedHeader, id="nothing signed"
        ),
        pytest.param(
            lambda case: case.header.signed_header.ClearField("header"),
            errors.MalformedHeader,
            id="no header",
        ),
        pytest.param(
            lambda case: case.header.signed_header.ClearField("commit"),
            errors.MalformedHeader,
            id="no commit",
        ),
        pytest.param(
            lambda case: case.header.ClearField("validator_set"),
            errors.MalformedValidatorSet,
            id="no validators",
        ),
        pytest.param(
            lambda case: case.commit.ClearField("signatures"), errors.MalformedCommit, id="no slots"
        ),
        pytest.param(lambda case: case.commit.ClearField("block_id"), errors.MalformedCommit, id="no block"),
        pytest.param(lambda case: setattr(case.commit, "round", -1), errors.MalformedCommit, id="round"),
        pytest.param(lambda case: setattr(case.commit, "height", 9), errors.HeaderHashMismatch, id="height"),
        pytest.param(
            lambda case: setattr(case.commit, "height", 0), errors.MalformedCommit, id="height zero"
        ),
        pytest.param(
            lambda case: setattr(case.commit.block_id, "hash", bytes(32)),
            errors.HeaderHashMismatch,
            id="hash",
        ),
        pytest.param(
            lambda case: setattr(case.commit.block_id, "hash", b"short"),
            errors.MalformedHeader,
            id="short hash",
        ),
        pytest.param(
            lambda case: setattr(case.commit.block_id.part_set_header, "total", 9),
            errors.InvalidVote,
            id="parts",
        ),
    ],
)
def test_a_part_that_is_missing_or_does_not_fit_is_refused(
    mutate: Callable[[Case], None], expected: type[errors.IbcError]
) -> None:
    case = Case()
    mutate(case)
    case.refused(expected)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda h: setattr(h.version, "block", 10), errors.MalformedHeader, id="block protocol"),
        pytest.param(lambda h: h.ClearField("version"), errors.MalformedHeader, id="no version"),
        pytest.param(lambda h: setattr(h, "height", 0), errors.MalformedHeader, id="height zero"),
        pytest.param(lambda h: setattr(h, "height", -1), errors.MalformedHeader, id="height negative"),
        pytest.param(lambda h: h.ClearField("time"), errors.MalformedHeader, id="no time"),
        pytest.param(lambda h: setattr(h.time, "nanos", 10**9), errors.MalformedTime, id="nanoseconds"),
        pytest.param(lambda h: setattr(h.time, "nanos", -1), errors.MalformedTime, id="negative nanoseconds"),
        pytest.param(lambda h: setattr(h.time, "seconds", 1 << 40), errors.MalformedTime, id="year"),
        pytest.param(
            lambda h: setattr(h.last_block_id, "hash", b"x"), errors.MalformedHeader, id="last block"
        ),
        pytest.param(
            lambda h: setattr(h, "last_commit_hash", b"x"), errors.MalformedHeader, id="last commit"
        ),
        pytest.param(lambda h: setattr(h, "data_hash", b"x"), errors.MalformedHeader, id="data"),
        pytest.param(lambda h: setattr(h, "validators_hash", b""), errors.MalformedHeader, id="validators"),
        pytest.param(
            lambda h: setattr(h, "next_validators_hash", b""), errors.MalformedHeader, id="next ones"
        ),
        pytest.param(lambda h: setattr(h, "consensus_hash", b"x"), errors.MalformedHeader, id="consensus"),
        pytest.param(lambda h: setattr(h, "last_results_hash", b"x"), errors.MalformedHeader, id="results"),
        pytest.param(lambda h: setattr(h, "evidence_hash", b"x"), errors.MalformedHeader, id="evidence"),
        pytest.param(lambda h: setattr(h, "proposer_address", b"x"), errors.MalformedHeader, id="proposer"),
        pytest.param(lambda h: setattr(h, "chain_id", "sim-4"), errors.WrongChainId, id="another chain"),
        pytest.param(lambda h: setattr(h, "chain_id", ""), errors.WrongChainId, id="no chain"),
    ],
)
def test_a_malformed_field_is_refused_even_if_it_is_signed(
    mutate: Callable[[types_pb2.Header], object], expected: type[errors.IbcError]
) -> None:
    case = Case()
    mutate(case.inner)
    if (
        case.inner.HasField("time")
        and 0 <= case.inner.time.nanos < 10**9
        and case.inner.time.seconds < 1 << 39
    ):
        case.sign_again()
    case.refused(expected)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda s: setattr(s, "block_id_flag", 0), errors.MalformedCommit, id="flag unknown"),
        pytest.param(
            lambda s: setattr(s, "block_id_flag", 1), errors.MalformedCommit, id="absent yet signed"
        ),
        pytest.param(lambda s: setattr(s, "validator_address", b"x"), errors.MalformedCommit, id="address"),
        pytest.param(lambda s: setattr(s, "signature", b""), errors.MalformedCommit, id="no signature"),
        pytest.param(
            lambda s: setattr(s, "signature", bytes(97)), errors.MalformedCommit, id="long signature"
        ),
        pytest.param(lambda s: s.ClearField("timestamp"), errors.MalformedCommit, id="no time"),
        pytest.param(lambda s: setattr(s.timestamp, "nanos", -1), errors.MalformedTime, id="time"),
        pytest.param(lambda s: setattr(s, "signature", bytes(63)), errors.InvalidVote, id="signature length"),
        pytest.param(lambda s: setattr(s, "signature", bytes(64)), errors.InvalidVote, id="signature"),
        pytest.param(lambda s: setattr(s.timestamp, "nanos", 5), errors.InvalidVote, id="another time"),
        pytest.param(lambda s: setattr(s, "validator_address", bytes(20)), errors.VoterMismatch, id="voter"),
    ],
)
def test_a_malformed_or_forged_vote_is_refused(
    mutate: Callable[[types_pb2.CommitSig], object], expected: type[errors.IbcError]
) -> None:
    case = Case()
    mutate(case.commit.signatures[0])
    case.refused(expected)


@pytest.mark.parametrize("name", ["validator_address", "signature", "timestamp"])
def test_an_absent_slot_holds_nothing(name: str) -> None:
    case = Case()
    slot = absent_slot()
    if name == "timestamp":
        slot.timestamp.CopyFrom(time_to_wire(START_NS))
    else:
        setattr(slot, name, b"x")
    case.commit.signatures[3].CopyFrom(slot)
    case.refused(errors.MalformedCommit)


def test_an_absent_slot_may_leave_out_its_time() -> None:
    case = Case()
    case.commit.signatures[3].CopyFrom(types_pb2.CommitSig(block_id_flag=validator_pb2.BLOCK_ID_FLAG_ABSENT))
    assert isinstance(case.check(), Verified)


@both_ways
def test_validators_that_the_header_does_not_name_are_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.validator_set.validators[0].voting_power = 11
    case.refused(errors.ValidatorSetMismatch)


@both_ways
def test_a_header_changed_after_it_was_signed_is_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.inner.app_hash = b"forged".ljust(32)
    case.refused(errors.HeaderHashMismatch)


# d. and e. times


@both_ways
@pytest.mark.parametrize("late_ns", [0, 1, SECOND_NS])
def test_an_expired_state_vouches_for_nothing(make_case: Callable[[], Case], late_ns: int) -> None:
    case = make_case()
    case.now_ns = case.trusted.time_ns + TRUSTING_PERIOD_NS + late_ns
    case.refused(errors.TrustExpired)


@both_ways
def test_a_state_vouches_until_it_expires(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.now_ns = case.trusted.time_ns + TRUSTING_PERIOD_NS - 1
    assert isinstance(case.check(), Verified)


@both_ways
@pytest.mark.parametrize("early_ns", [0, 1])
def test_times_rise_with_heights(make_case: Callable[[], Case], early_ns: int) -> None:
    case = make_case()
    case.inner.time.CopyFrom(time_to_wire(case.trusted.time_ns - early_ns))
    case.sign_again()
    case.refused(errors.TimeNotNewer)


@both_ways
def test_a_header_from_the_future_is_refused(make_case: Callable[[], Case]) -> None:
    """A forward lunatic attack starts with such a header."""
    case = make_case()
    case.now_ns = case.inner.time.ToNanoseconds() - case.options.max_clock_drift_ns
    case.refused(errors.HeaderFromFuture)
    case.now_ns += 1
    assert isinstance(case.check(), Verified)


# f. the next height


def test_the_next_header_must_have_the_announced_validators() -> None:
    chain = SimulatedChain()
    chain.add_blocks(2)
    strangers = make_members({7: 10, 8: 10})
    fork = SimulatedChain(members=strangers, blocks=chain.blocks[:1], history=chain.history[:1])
    fork.time_ns = START_NS + SECOND_NS
    block = fork.add_block()
    case = Case(chain=chain)
    case.header.CopyFrom(chain.wrap(block, 1))
    case.refused(errors.ValidatorSetMismatch)


# g. a far height


def change_validators(kept: int, power: int = 10) -> Case:
    """Four validators at height 1; from height 3 on, `kept` of them and three others."""
    chain = SimulatedChain()
    chain.add_block()
    successors = make_members(dict.fromkeys([*range(kept), 7, 8, 9], power))
    chain.add_block(successors=successors)
    chain.add_blocks(3)
    return Case(chain=chain, height=4)


@pytest.mark.parametrize(("kept", "enough"), [(0, False), (1, False), (2, True), (4, True)])
def test_more_than_a_third_of_the_trusted_power_must_sign(*, kept: int, enough: bool) -> None:
    verdict = change_validators(kept).check()
    assert isinstance(verdict, Verified if enough else NotEnoughTrust)


def test_exactly_the_trust_level_is_not_enough() -> None:
    case = change_validators(2)
    case.options = replace(case.options, trust_level=Fraction(1, 2))
    verdict = case.check()
    assert isinstance(verdict, NotEnoughTrust)
    assert (verdict.tally.signed, verdict.tally.needed, verdict.tally.total) == (20, 20, 40)


def test_trusted_power_is_counted_as_it_was_trusted() -> None:
    """A trusted validator whose own new set gives it more power does not count for more."""
    assert isinstance(change_validators(1, power=1_000).check(), NotEnoughTrust)


def test_two_votes_of_one_trusted_validator_are_refused() -> None:
    case = skipping()
    case.commit.signatures[1].CopyFrom(case.commit.signatures[0])
    case.refused(errors.DoubleVote)


def test_one_vote_never_counts_for_another_validator() -> None:
    """ISA-2025-003: the vote is in two places, the second under another validator's address."""
    case = skipping()
    for place in (1, 2, 3):
        case.commit.signatures[place].CopyFrom(case.commit.signatures[0])
        case.commit.signatures[place].validator_address = case.header.validator_set.validators[place].address
    case.refused(errors.InvalidVote)


def test_swapped_addresses_are_refused() -> None:
    """CSA-2026-001: signatures were looked up by place and times by address."""
    case = Case()
    first, second = case.commit.signatures[0], case.commit.signatures[1]
    first.validator_address, second.validator_address = second.validator_address, first.validator_address
    case.refused(errors.VoterMismatch)


def test_a_bad_vote_before_the_trust_level_refuses_the_header() -> None:
    case = skipping()
    case.commit.signatures[0].signature = bytes(64)
    case.refused(errors.InvalidVote)


def test_a_commit_of_absent_slots_is_invalid_and_not_a_matter_of_trust() -> None:
    case = skipping()
    for slot in case.commit.signatures:
        slot.CopyFrom(absent_slot())
    case.refused(errors.MalformedCommit)


# h. its own validators


@both_ways
@pytest.mark.parametrize(("voters", "enough"), [([0, 1], False), ([0, 1, 2], True), ([1, 2, 3], True)])
def test_more_than_two_thirds_of_its_own_power_must_sign(
    make_case: Callable[[], Case], *, voters: list[int], enough: bool
) -> None:
    case = make_case()
    case.sign_again(voters)
    if enough:
        assert isinstance(case.check(), Verified)
    else:
        case.refused(errors.QuorumNotReached)


def test_exactly_two_thirds_are_not_enough() -> None:
    chain = SimulatedChain(members=make_members({0: 10, 1: 10, 2: 10}))
    chain.add_blocks(3)
    case = Case(chain=chain)
    case.sign_again([0, 1])
    case.refused(errors.QuorumNotReached)


@both_ways
def test_votes_for_no_block_do_not_count(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.vote(0, flag=3)
    case.vote(1, flag=3)
    case.refused(errors.QuorumNotReached)


@both_ways
@pytest.mark.parametrize("change", [-1, 1])
def test_there_is_one_slot_for_each_validator(make_case: Callable[[], Case], change: int) -> None:
    case = make_case()
    if change < 0:
        case.commit.signatures.pop()
    else:
        case.commit.signatures.append(absent_slot())
    case.refused(errors.CommitSizeMismatch)


def test_a_bad_vote_before_the_quorum_refuses_the_header() -> None:
    case = Case()
    case.commit.signatures[2].signature = bytes(64)
    case.refused(errors.InvalidVote)


def test_votes_after_the_quorum_are_not_verified() -> None:
    case = Case()
    case.commit.signatures[3].signature = bytes(64)
    assert isinstance(case.check(), Verified)


def test_a_vote_of_a_stranger_in_a_validators_place_is_refused() -> None:
    case = Case()
    case.vote(0, key_number=9)
    case.refused(errors.VoterMismatch)


def test_powers_near_the_bound_do_not_overflow() -> None:
    power = ((1 << 63) - 1) // 8 // 3
    chain = SimulatedChain(members=make_members({0: power, 1: power, 2: power}))
    chain.add_blocks(5)
    case = Case(chain=chain, height=4)
    assert isinstance(case.check(), Verified)
    case.sign_again([0, 1])
    case.refused(errors.QuorumNotReached)


@pytest.mark.parametrize(
    "level", [Fraction(0, 1), Fraction(1, 4), Fraction(4, 3), Fraction(1, 0), Fraction(0, 0)]
)
def test_a_trust_level_outside_a_third_to_one_is_refused(level: Fraction) -> None:
    with pytest.raises(errors.InvalidTrustOptions):
        check_trust_options(SimulatedChain().options(level))


@pytest.mark.parametrize(
    "options",
    [
        TrustOptions("", Fraction(1, 3), 1, 1),
        TrustOptions("x" * 51, Fraction(1, 3), 1, 1),
        TrustOptions("chain", Fraction(1, 3), 0, 1),
        TrustOptions("chain", Fraction(1, 3), 1, 0),
    ],
)
def test_options_out_of_range_are_refused(options: TrustOptions) -> None:
    with pytest.raises(errors.InvalidTrustOptions):
        check_trust_options(options)
