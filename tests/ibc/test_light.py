from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc import errors, light
from ibc.light import Done, Failed, LightClient, Need, Progress, pivot_height, without_unverifiable_votes
from ibc.tendermint import Invalid, Verified, trust_light_block, verify_update
from ibc.voting import Fraction
from tests.support.ibc import (
    SECOND_NS,
    TRUSTING_PERIOD_NS,
    SimulatedChain,
    absent_slot,
    make_members,
)
from tests.support.ibc_case import RecordingCache
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from ibc.tendermint import TrustedState


def drive(client: LightClient, chain: SimulatedChain, target: int) -> tuple[Progress, list[int]]:
    asked = []
    progress = client.begin(target)
    while isinstance(progress, Need):
        asked.append(progress.height)
        progress = client.step(chain.light_block(progress.height), chain.time_ns)
    return progress, asked


def replay(chain: SimulatedChain, start: int, done: Done) -> TrustedState:
    """Submit the headers to a client that knows the start only."""
    state = chain.trusted_state(start)
    for header in done.headers:
        verdict = verify_update(state, header, chain.options(), chain.time_ns)
        assert isinstance(verdict, Verified)
        state = verdict.state
    return state


def steady_chain(blocks: int = 30) -> SimulatedChain:
    chain = SimulatedChain()
    chain.add_blocks(blocks)
    return chain


def turning_chain(every: int, blocks: int) -> SimulatedChain:
    """Every few blocks one validator leaves and another one joins."""
    chain = SimulatedChain()
    oldest = 0
    for height in range(1, blocks + 1):
        if height % every == 0:
            oldest += 1
            chain.add_block(successors=make_members(dict.fromkeys(range(oldest, oldest + 4), 10)))
        else:
            chain.add_block()
    return chain


def test_steady_validators_need_one_header_however_far() -> None:
    chain = steady_chain()
    progress, asked = drive(LightClient(chain.trusted_state(1), chain.options()), chain, 30)
    assert isinstance(progress, Done)
    assert progress.state == chain.trusted_state(30)
    assert len(progress.headers) == 1
    assert asked == [30]


def test_the_next_height_needs_one_header() -> None:
    chain = turning_chain(1, 6)
    progress, asked = drive(LightClient(chain.trusted_state(3), chain.options()), chain, 4)
    assert isinstance(progress, Done)
    assert asked == [4]


def test_a_trusted_height_needs_nothing_and_one_below_is_refused() -> None:
    chain = steady_chain()
    client = LightClient(chain.trusted_state(9), chain.options())
    assert client.begin(9) == Done(chain.trusted_state(9), ())
    failed = client.begin(8)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, errors.HeightNotNewer)


@settings(max_examples=settings().max_examples // 4)
@given(
    st.integers(1, 7),
    st.integers(1, 20),
    st.integers(2, 60),
    st.sampled_from([Fraction(1, 3), Fraction(2, 3)]),
)
def test_any_way_is_found_and_can_be_replayed(every: int, start: int, distance: int, level: Fraction) -> None:
    chain = turning_chain(every, start + distance)
    target = start + distance
    progress, asked = drive(LightClient(chain.trusted_state(start), chain.options(level)), chain, target)
    assert isinstance(progress, Done)
    assert progress.state == chain.trusted_state(target)
    assert replay(chain, start, progress) == progress.state
    assert len(set(asked)) == len(asked)
    heights = [header.signed_header.header.height for header in progress.headers]
    assert heights == sorted(heights)
    assert heights[-1] == target


def test_one_client_goes_on_from_target_to_target() -> None:
    chain = turning_chain(4, 40)
    client = LightClient(chain.trusted_state(1), chain.options())
    for target in (7, 20, 21, 40):
        progress, _ = drive(client, chain, target)
        assert isinstance(progress, Done)
        assert client.trusted == chain.trusted_state(target)


@given(st.integers(1, 1 << 40), st.integers(2, 1 << 40))
def test_a_pivot_lies_strictly_between(trusted: int, distance: int) -> None:
    assert trusted < pivot_height(trusted, trusted + distance) < trusted + distance
    assert pivot_height(100, 116) == 109


def test_validators_that_were_announced_need_not_be_fetched_for_the_next_target() -> None:
    """The validators of height 10 are those of height 9, which was fetched; the target has others."""
    chain = steady_chain(14)
    chain.add_block(successors=make_members({0: 10, 1: 10, 2: 10, 7: 10}))
    chain.add_blocks(10)
    client = LightClient(chain.trusted_state(1), chain.options())
    drive(client, chain, 9)
    assert drive(client, chain, 20)[1] == [20]
    fresh = LightClient(chain.trusted_state(9), chain.options())
    assert drive(fresh, chain, 20)[1] == [20, 10]


def test_what_was_fetched_for_a_target_that_was_given_up_is_fetched_again() -> None:
    chain = turning_chain(1, 12)
    client = LightClient(chain.trusted_state(1), chain.options())
    first = client.begin(12)
    assert first == Need(12)
    assert isinstance(client.step(chain.light_block(12), chain.time_ns), Need)
    assert client.begin(12) == Need(12)


def test_headers_are_those_of_the_last_target() -> None:
    chain = steady_chain(30)
    client = LightClient(chain.trusted_state(1), chain.options())
    drive(client, chain, 10)
    progress, _ = drive(client, chain, 20)
    assert isinstance(progress, Done)
    assert [header.signed_header.header.height for header in progress.headers] == [20]


def test_a_block_is_taken_once() -> None:
    chain = turning_chain(1, 12)
    client = LightClient(chain.trusted_state(1), chain.options())
    client.begin(2)
    client.step(chain.light_block(2), chain.time_ns)
    progress = client.step(chain.light_block(2), chain.time_ns)
    assert isinstance(progress, Failed)
    assert progress.error.message == "expected a light block of height None, got 2"


def test_exactly_so_many_blocks_may_be_fetched_as_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = turning_chain(1, 12)
    for bound in (True, False):
        client = LightClient(chain.trusted_state(1), chain.options())
        _, asked = drive(client, chain, 12)
        monkeypatch.setattr(light, "MAX_FETCHES", len(asked) - (not bound))
        progress, _ = drive(LightClient(chain.trusted_state(1), chain.options()), chain, 12)
        assert isinstance(progress, Done) is bound
        monkeypatch.undo()


def test_a_client_remembers_the_votes_that_it_has_verified() -> None:
    chain = steady_chain(10)
    cache = RecordingCache()
    drive(LightClient(chain.trusted_state(1), chain.options(), cache), chain, 2)
    assert cache.verdicts == [True] * 3


def test_a_block_that_was_not_asked_for_is_refused() -> None:
    chain = steady_chain()
    client = LightClient(chain.trusted_state(1), chain.options())
    for prepare in (lambda: None, lambda: client.begin(20)):
        prepare()
        progress = client.step(chain.light_block(19), chain.time_ns)
        assert isinstance(progress, Failed)
        assert isinstance(progress.error, errors.UnexpectedLightBlock)
    fresh = LightClient(chain.trusted_state(1), chain.options())
    progress = fresh.step(chain.light_block(19), chain.time_ns)
    assert isinstance(progress, Failed)
    assert progress.error.message == "expected a light block of height None, got 19"


def test_a_forged_block_fails_and_leaves_trust_where_it_was() -> None:
    chain = steady_chain()
    client = LightClient(chain.trusted_state(1), chain.options())
    client.begin(20)
    forged = types_pb2.LightBlock()
    forged.CopyFrom(chain.light_block(20))
    forged.signed_header.header.app_hash = b"\x66" * 32
    progress = client.step(forged, chain.time_ns)
    assert isinstance(progress, Failed)
    assert isinstance(progress.error, errors.HeaderHashMismatch)
    assert client.trusted == chain.trusted_state(1)


def test_validators_other_than_the_announced_ones_are_refused() -> None:
    chain = turning_chain(1, 40)
    client = LightClient(chain.trusted_state(1), chain.options())
    assert client.begin(40) == Need(40)
    assert client.step(chain.light_block(40), chain.time_ns) == Need(2)
    lying = types_pb2.LightBlock()
    lying.CopyFrom(chain.light_block(2))
    lying.validator_set.CopyFrom(chain.light_block(9).validator_set)
    progress = client.step(lying, chain.time_ns)
    assert isinstance(progress, Failed)
    assert isinstance(progress.error, errors.UnexpectedLightBlock)


def test_a_malformed_block_fails() -> None:
    chain = steady_chain()
    client = LightClient(chain.trusted_state(1), chain.options())
    client.begin(20)
    empty = types_pb2.LightBlock()
    empty.signed_header.header.height = 20
    progress = client.step(empty, chain.time_ns)
    assert isinstance(progress, Failed)
    assert isinstance(progress.error, errors.MalformedValidatorSet)


def test_trust_that_has_expired_cannot_be_extended() -> None:
    chain = steady_chain()
    client = LightClient(chain.trusted_state(1), chain.options())
    client.begin(20)
    progress = client.step(chain.light_block(20), chain.trusted_state(1).time_ns + TRUSTING_PERIOD_NS)
    assert isinstance(progress, Failed)
    assert isinstance(progress.error, errors.TrustExpired)


def test_a_way_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "MAX_FETCHES", 3)
    chain = turning_chain(1, 60)
    progress, asked = drive(LightClient(chain.trusted_state(1), chain.options()), chain, 60)
    assert isinstance(progress, Failed)
    assert isinstance(progress.error, errors.BisectionTooLong)
    assert len(asked) == 3


def test_unsound_options_are_refused() -> None:
    chain = steady_chain(1)
    with pytest.raises(errors.InvalidTrustOptions):
        LightClient(chain.trusted_state(1), chain.options(Fraction(1, 9)))


def test_a_vote_that_does_not_verify_here_can_be_left_out() -> None:
    """A validator may sign so that CometBFT accepts its vote and libsodium does not."""
    chain = steady_chain(3)
    block = types_pb2.LightBlock()
    block.CopyFrom(chain.light_block(2))
    block.signed_header.commit.signatures[0].signature = bytes(64)
    before = verify_update(chain.trusted_state(1), chain.wrap(block, 1), chain.options(), chain.time_ns)
    assert isinstance(before, Invalid)
    cleaned = without_unverifiable_votes(block, chain.chain_id)
    after = verify_update(chain.trusted_state(1), chain.wrap(cleaned, 1), chain.options(), chain.time_ns)
    assert after == Verified(chain.trusted_state(2))
    slot = cleaned.signed_header.commit.signatures[0]
    assert slot.block_id_flag == validator_pb2.BLOCK_ID_FLAG_ABSENT
    assert block.signed_header.commit.signatures[0].signature == bytes(64)


def test_a_vote_is_left_out_as_cometbft_writes_an_absent_one() -> None:
    assert light.absent_slot() == absent_slot()


def test_a_vote_after_an_absent_one_is_looked_at() -> None:
    chain = steady_chain(3)
    block = chain.light_block(2)
    block.signed_header.commit.signatures[0].CopyFrom(absent_slot())
    block.signed_header.commit.signatures[1].signature = bytes(64)
    cleaned = without_unverifiable_votes(block, chain.chain_id)
    assert list(cleaned.signed_header.commit.signatures[:2]) == [absent_slot(), absent_slot()]
    assert cleaned.signed_header.commit.signatures[2] == block.signed_header.commit.signatures[2]


def test_verdicts_on_votes_are_remembered() -> None:
    chain = steady_chain(3)
    block = chain.light_block(2)
    cache = RecordingCache()
    without_unverifiable_votes(block, chain.chain_id, cache)
    assert cache.verdicts == [True] * 4
    cache = RecordingCache()
    trust_light_block(block, block.signed_header.commit.block_id.hash, chain.chain_id, cache)
    assert cache.verdicts == [True] * 3


def test_a_good_commit_stays_as_it_is() -> None:
    chain = steady_chain(2)
    chain.add_block(voters=[0, 2, 3])
    assert without_unverifiable_votes(chain.light_block(3), chain.chain_id) == chain.light_block(3)


def test_votes_are_left_out_only_where_slots_and_validators_fit() -> None:
    chain = steady_chain(2)
    block = types_pb2.LightBlock()
    block.CopyFrom(chain.light_block(2))
    block.signed_header.commit.signatures.pop()
    with pytest.raises(errors.UnexpectedLightBlock):
        without_unverifiable_votes(block, chain.chain_id)


def test_trust_begins_with_a_known_hash() -> None:
    chain = steady_chain(3)
    block = chain.light_block(2)
    known = block.signed_header.commit.block_id.hash
    assert trust_light_block(block, known, chain.chain_id) == chain.trusted_state(2)
    with pytest.raises(errors.HeaderHashMismatch):
        trust_light_block(chain.light_block(3), known, chain.chain_id)
    with pytest.raises(errors.WrongChainId):
        trust_light_block(block, known, "other-1")


def test_a_block_without_quorum_is_not_trusted_even_by_its_hash() -> None:
    chain = SimulatedChain(time_ns=SECOND_NS)
    block = chain.add_block(voters=[0, 1])
    with pytest.raises(errors.QuorumNotReached):
        trust_light_block(block, block.signed_header.commit.block_id.hash, chain.chain_id)
