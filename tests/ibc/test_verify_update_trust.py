"""The light client's checks, one by one; letters are those of `verify_update`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.context import VerificationCache
from ibc import errors, tendermint, voting
from ibc.tendermint import (
    Invalid,
    NotEnoughTrust,
    TrustOptions,
    Verified,
    check_trust_options,
    verify_update,
)
from ibc.times import time_to_wire
from ibc.validators import ValidatorSet, validator_set_from_wire
from ibc.voting import Fraction
from tests.support.ibc import (
    SECOND_NS,
    START_NS,
    TRUSTING_PERIOD_NS,
    SimulatedChain,
    absent_slot,
    make_members,
)
from tests.support.ibc_case import Case, RecordingCache, both_ways, skipping
from tx.keys import verify_signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.tendermint.types import validator_pb2


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


@pytest.mark.parametrize(("kept", "enough"), [(2, False), (3, True)])
def test_a_minority_of_the_trusted_power_is_not_enough_at_two_thirds(*, kept: int, enough: bool) -> None:
    """cosmos/ibc-go#1725: at a third, half of the validators make a client believe in a set of their choice."""
    case = change_validators(kept)
    assert isinstance(case.check(), Verified)
    case.options = replace(case.options, trust_level=Fraction(2, 3))
    assert isinstance(case.check(), Verified if enough else NotEnoughTrust)


def test_trusted_power_is_counted_as_it_was_trusted() -> None:
    """A trusted validator whose own new set gives it more power does not count for more."""
    assert isinstance(change_validators(1, power=1_000).check(), NotEnoughTrust)


def strong_newcomer() -> Case:
    """From height 3 on one more validator alone has the quorum of the new set, and stands first in it."""
    chain = SimulatedChain()
    chain.add_block()
    chain.add_block(successors=make_members({9: 1_000, 0: 10, 1: 10, 2: 10, 3: 10}))
    chain.add_blocks(3)
    return Case(chain=chain, height=4)


def test_a_forged_vote_of_a_trusted_validator_makes_no_trust() -> None:
    """Who has a quorum of its own, as a set has that somebody made up, leaves nothing else to verify the votes."""
    case = strong_newcomer()
    assert isinstance(case.check(), Verified)
    for place in range(1, 5):
        case.commit.signatures[place].signature = bytes(64)
    case.refused(errors.InvalidVote)


def test_every_verified_vote_is_remembered() -> None:
    """Two votes make the trust, and another one the quorum."""
    case = strong_newcomer()
    cache = RecordingCache()
    for times in (1, 2):
        verdict = verify_update(case.trusted, case.header, case.options, case.now_ns, cache)
        assert isinstance(verdict, Verified)
        assert (len(cache.asked), cache.verdicts) == (3 * times, [True, True, True])
    assert cache.asked[:3] == cache.asked[3:]


@pytest.mark.parametrize("size", [63, 65])
def test_a_signature_of_another_length_is_never_remembered(size: int) -> None:
    """Key, signature and message are hashed one after the other: bytes could move from one to the next."""
    case = Case()
    case.commit.signatures[0].signature = bytes(size)
    cache = RecordingCache()
    verdict = verify_update(case.trusted, case.header, case.options, case.now_ns, cache)
    assert isinstance(verdict, Invalid)
    assert isinstance(verdict.error, errors.InvalidVote)
    assert (cache.asked, cache.verdicts) == ([], [])


def test_a_bad_vote_is_remembered_too() -> None:
    case = Case()
    case.commit.signatures[0].signature = bytes(64)
    cache = RecordingCache()
    for _ in range(2):
        assert isinstance(verify_update(case.trusted, case.header, case.options, case.now_ns, cache), Invalid)
    assert (len(cache.asked), cache.verdicts) == (2, [False])


def test_the_age_of_an_expired_state_is_said() -> None:
    case = Case()
    case.now_ns = case.trusted.time_ns + TRUSTING_PERIOD_NS + 5
    verdict = case.check()
    assert isinstance(verdict, Invalid)
    age = f"{TRUSTING_PERIOD_NS} ns, got one of {TRUSTING_PERIOD_NS + 5} ns"
    assert verdict.error.message == f"expected a trusted state younger than {age}"


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


def test_a_remembered_vote_never_counts_for_another_validator() -> None:
    """ISA-2025-003 was a cache: the verdict on one validator's vote served for others with the same bytes."""
    case = Case()
    first = case.commit.signatures[0]
    for place in (1, 2, 3):
        case.commit.signatures[place].signature = first.signature
        case.commit.signatures[place].timestamp.CopyFrom(first.timestamp)
    verdict = verify_update(case.trusted, case.header, case.options, case.now_ns, VerificationCache())
    assert isinstance(verdict, Invalid)
    assert isinstance(verdict.error, errors.InvalidVote)


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


def test_validators_that_are_still_the_same_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def count(message: validator_pb2.ValidatorSet) -> ValidatorSet:
        read.append(message)
        return validator_set_from_wire(message)

    monkeypatch.setattr(tendermint, "validator_set_from_wire", count)
    assert isinstance(skipping().check(), Verified)
    assert len(read) == 1
    assert isinstance(change_validators(2).check(), Verified)
    assert len(read) == 3


def test_no_vote_is_verified_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four votes are enough trust, three of them a quorum, and the two stand in both."""
    verified = []

    def count(public_key: bytes, message: bytes, signature: bytes) -> None:
        verified.append(signature)
        verify_signature(public_key, message, signature)

    monkeypatch.setattr(voting, "verify_signature", count)
    assert isinstance(skipping().check(), Verified)
    assert len(verified) == len(set(verified)) == 3
