"""What shows that a chain has contradicted itself; letters are those of `check_misbehaviour`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc import errors
from ibc.voting import Fraction
from tests.support.ibc import (
    SECOND_NS,
    TRUSTING_PERIOD_NS,
    SimulatedChain,
    make_members,
    make_validator_set,
    sign_header,
)
from tests.support.ibc_evidence import Evidence, fork_block, out_of_time
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

both_headers = pytest.mark.parametrize("place", [0, 1], ids=["first header", "second header"])
both_forms = pytest.mark.parametrize("make_evidence", [Evidence, out_of_time], ids=["fork", "time"])


# the two forms


def test_two_different_headers_of_one_height_are_misbehaviour() -> None:
    Evidence().check()


@pytest.mark.parametrize("later_ns", [0, -1, -SECOND_NS])
def test_a_header_that_is_not_later_than_a_lower_one_is_misbehaviour(later_ns: int) -> None:
    out_of_time(later_ns).check()


def test_a_header_that_is_later_than_a_lower_one_is_none() -> None:
    out_of_time(1).refused(errors.NoMisbehaviour)


def test_two_blocks_of_an_honest_chain_are_none() -> None:
    evidence = Evidence()
    evidence.show(0, evidence.chain.light_block(6))
    evidence.refused(errors.NoMisbehaviour)


def test_the_same_header_twice_is_none() -> None:
    evidence = Evidence()
    evidence.show(0, evidence.chain.light_block(5))
    evidence.refused(errors.NoMisbehaviour)


def test_two_commits_of_one_header_are_none() -> None:
    evidence = Evidence()
    block = evidence.chain.light_block(5)
    again = sign_header(block.signed_header.header, evidence.chain.members_at(5), [0, 1, 2], round_number=1)
    evidence.show(0, again)
    evidence.refused(errors.NoMisbehaviour)


def test_a_header_far_ahead_of_its_time_is_misbehaviour_too() -> None:
    """A forward lunatic attack (GHSA-f3w5-v9xx-rp8p); an update would be refused."""
    evidence = Evidence()
    evidence.show(0, fork_block(evidence.chain, 5, time_ns=evidence.now_ns + TRUSTING_PERIOD_NS))
    evidence.check()


def test_validators_that_nobody_announced_are_misbehaviour_if_the_trusted_ones_signed() -> None:
    """A lunatic attack: the forged header of the next height names another set."""
    evidence = Evidence(height=2, starts=(1, 1))
    members = make_members({0: 10, 1: 10, 7: 1})
    header = fork_block(evidence.chain, 2).signed_header.header
    header.validators_hash = SimulatedChain(members=members).make_header().validators_hash
    evidence.show(0, sign_header(header, members))
    evidence.check()


# a. two headers, the higher one first


@both_headers
def test_evidence_has_two_headers(place: int) -> None:
    evidence = Evidence()
    evidence.message.ClearField("header_2" if place else "header_1")
    evidence.refused(errors.MalformedMisbehaviour)


def test_the_first_header_is_not_the_lower_one() -> None:
    evidence = out_of_time()
    one, other = evidence.message.header_1, evidence.message.header_2
    one_bytes = one.SerializeToString()
    one.CopyFrom(other)
    other.ParseFromString(one_bytes)
    evidence.starts = (2, 1)
    evidence.refused(errors.MalformedMisbehaviour)


# b. what the headers start from


@both_headers
def test_each_header_starts_from_its_own_trusted_state(place: int) -> None:
    evidence = Evidence()
    evidence.header(place).trusted_height.revision_height = 3
    evidence.refused(errors.TrustedHeightMismatch)


@both_headers
def test_evidence_of_another_revision_is_refused(place: int) -> None:
    evidence = Evidence()
    evidence.header(place).trusted_height.revision_number = 4
    evidence.refused(errors.TrustedHeightMismatch)


@both_headers
def test_each_header_has_the_announced_validators(place: int) -> None:
    evidence = Evidence()
    evidence.header(place).trusted_validators.CopyFrom(make_validator_set(make_members({7: 10})))
    evidence.refused(errors.ValidatorSetMismatch)


@both_headers
def test_each_header_is_above_its_start(place: int) -> None:
    starts = (5, 2) if place == 0 else (1, 5)
    Evidence(starts=starts).refused(errors.HeightNotNewer)


# c. one whole


@both_headers
@both_forms
def test_a_header_that_was_changed_under_a_genuine_commit_is_refused(
    make_evidence: Callable[[], Evidence], place: int
) -> None:
    """cardano-ibc-incubator#575: anyone could have frozen any client."""
    evidence = make_evidence()
    evidence.header(place).signed_header.header.app_hash = b"\x67" * 32
    evidence.refused(errors.HeaderHashMismatch)


@both_headers
def test_a_time_that_was_changed_under_a_genuine_commit_is_refused(place: int) -> None:
    evidence = out_of_time(SECOND_NS)
    evidence.header(place).signed_header.header.time.seconds += 5
    evidence.refused(errors.HeaderHashMismatch)


@both_headers
def test_evidence_of_another_chain_is_refused(place: int) -> None:
    evidence = Evidence()
    header = evidence.header(place).signed_header.header
    header.chain_id = "sim-4"
    block = sign_header(header, evidence.chain.members_at(5))
    evidence.header(place).signed_header.CopyFrom(block.signed_header)
    evidence.refused(errors.WrongChainId)


@both_headers
def test_validators_that_a_header_does_not_name_are_refused(place: int) -> None:
    evidence = Evidence()
    evidence.header(place).validator_set.CopyFrom(make_validator_set(make_members({7: 10})))
    evidence.refused(errors.ValidatorSetMismatch)


@both_headers
def test_evidence_without_a_header_in_it_is_refused(place: int) -> None:
    evidence = Evidence()
    evidence.header(place).ClearField("signed_header")
    evidence.refused(errors.MalformedHeader)


# d. expiry


@both_headers
def test_a_state_that_has_expired_bears_no_evidence(place: int) -> None:
    evidence = Evidence(starts=(1, 4) if place == 0 else (4, 1))
    evidence.now_ns = evidence.chain.trusted_state(1).time_ns + TRUSTING_PERIOD_NS
    evidence.refused(errors.TrustExpired)
    evidence.now_ns -= 1
    evidence.check()


# f. the trusted validators


def strange(height: int, kept: int) -> Evidence:
    """Return evidence whose first header was signed by one stranger and so many of four trusted validators."""
    evidence = Evidence(height=height)
    members = make_members({**dict.fromkeys(range(kept), 10), 7: 1})
    header = fork_block(evidence.chain, height).signed_header.header
    header.validators_hash = SimulatedChain(members=members).make_header().validators_hash
    evidence.show(0, sign_header(header, members))
    return evidence


@pytest.mark.parametrize("height", [3, 5], ids=["next height", "far height"])
def test_headers_that_strangers_signed_are_no_evidence(height: int) -> None:
    """Else anyone could freeze any client with validators of their own."""
    strange(height, kept=2).check()
    strange(height, kept=1).refused(errors.TrustNotReached)


@both_headers
def test_exactly_the_trust_level_is_not_enough_for_evidence(place: int) -> None:
    evidence = Evidence()
    evidence.show(place, fork_block(evidence.chain, 5, app_hash=b"\x68" * 32, voters=[0, 1, 2]))
    evidence.options = replace(evidence.options, trust_level=Fraction(3, 4))
    evidence.refused(errors.TrustNotReached)


# g. their own validators


@both_headers
def test_headers_without_a_quorum_are_no_evidence(place: int) -> None:
    """A third of the validators could freeze the clients of their chain, and halt its links, at no risk."""
    evidence = Evidence()
    evidence.show(place, fork_block(evidence.chain, 5, app_hash=b"\x68" * 32, voters=[0, 1]))
    evidence.refused(errors.QuorumNotReached)


@both_headers
def test_headers_with_forged_votes_are_no_evidence(place: int) -> None:
    evidence = Evidence()
    evidence.header(place).signed_header.commit.signatures[0].signature = bytes(64)
    evidence.refused(errors.InvalidVote)


@both_headers
def test_swapped_addresses_are_refused_in_evidence_too(place: int) -> None:
    evidence = Evidence()
    slots = evidence.header(place).signed_header.commit.signatures
    slots[0].validator_address, slots[3].validator_address = (
        slots[3].validator_address,
        slots[0].validator_address,
    )
    with pytest.raises((errors.InvalidVote, errors.VoterMismatch)):
        evidence.check()


# anything else


@settings(max_examples=settings().max_examples * 2)
@given(st.sampled_from([Evidence, out_of_time]), st.data())
def test_changed_evidence_holds_only_if_it_shows_the_same_headers(
    make_evidence: Callable[[], Evidence], data: st.DataObject
) -> None:
    """Whatever the bytes are, the outcome is a typed error or true evidence."""
    evidence = make_evidence()
    shown = [evidence.header(place).signed_header.header.SerializeToString() for place in (0, 1)]
    encoded = bytearray(evidence.message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        evidence.message = tendermint_pb2.Misbehaviour.FromString(bytes(encoded))
        evidence.check()
    except (DecodeError, errors.IbcError):
        return
    assert [evidence.header(place).signed_header.header.SerializeToString() for place in (0, 1)] == shown
