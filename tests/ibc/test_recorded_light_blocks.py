"""Light blocks of a real network: see tests/vectors/README.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ibc.commit import commit_from_wire
from ibc.errors import HeaderHashMismatch, InvalidVote, TrustExpired
from ibc.header import VoteEncoder, header_hash
from ibc.identifiers import Height
from ibc.light import Done, LightClient, Need, Progress, to_client_message
from ibc.rpcjson import parse_light_block_answers
from ibc.tendermint import (
    Invalid,
    NotEnoughTrust,
    TrustedState,
    TrustOptions,
    Verified,
    trust_light_block,
    verify_update,
)
from ibc.validators import validator_set_from_wire
from ibc.voting import Fraction, verify_vote
from tests.support.ibc import DAY_NS, SECOND_NS, make_sign_bytes
from tx.keys import verify_signature
from wire.tendermint.types import types_pb2, validator_pb2

VECTORS = Path(__file__).parent.parent / "vectors" / "comet_light_blocks.json"
CHAIN_ID = "recorded-2"
OPTIONS = TrustOptions(CHAIN_ID, Fraction(1, 3), 14 * DAY_NS, 10 * SECOND_NS)
HEIGHTS = range(1, 16)


def light_blocks() -> dict[int, types_pb2.LightBlock]:
    answers = json.loads(VECTORS.read_text())
    blocks = [parse_light_block_answers(item["commit"], item["validators"]) for item in answers]
    return {block.signed_header.header.height: block for block in blocks}


def trust(height: int) -> TrustedState:
    block = light_blocks()[height]
    return trust_light_block(block, block.signed_header.commit.block_id.hash, CHAIN_ID)


def now_ns() -> int:
    return light_blocks()[15].signed_header.header.time.ToNanoseconds() + SECOND_NS


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_real_header_hashes_to_what_was_committed(height: int) -> None:
    signed = light_blocks()[height].signed_header
    assert header_hash(signed.header) == signed.commit.block_id.hash


@pytest.mark.parametrize("height", HEIGHTS)
def test_real_validators_hash_to_what_the_header_says(height: int) -> None:
    block = light_blocks()[height]
    assert validator_set_from_wire(block.validator_set).hash == block.signed_header.header.validators_hash


@pytest.mark.parametrize("height", HEIGHTS)
def test_every_real_vote_for_the_block_verifies(height: int) -> None:
    block = light_blocks()[height]
    commit = commit_from_wire(block.signed_header.commit)
    encoder = VoteEncoder(CHAIN_ID, commit.height, commit.round_number, commit.block_id)
    members = validator_set_from_wire(block.validator_set).validators
    votes = [(member, vote) for member, vote in zip(members, commit.slots, strict=True) if vote is not None]
    assert votes
    for member, vote in votes:
        verify_vote(encoder, member, vote, None)


def test_real_votes_for_no_block_verify_too() -> None:
    found = 0
    for block in light_blocks().values():
        commit = block.signed_header.commit
        encoder = VoteEncoder(CHAIN_ID, commit.height, commit.round, None)
        for member, slot in zip(block.validator_set.validators, commit.signatures, strict=True):
            if slot.block_id_flag == validator_pb2.BLOCK_ID_FLAG_NIL:
                message = encoder.sign_bytes(slot.timestamp.ToNanoseconds())
                assert message == make_sign_bytes(CHAIN_ID, commit, slot)
                verify_signature(member.pub_key.ed25519, message, slot.signature)
                found += 1
    assert found > 0


@pytest.mark.parametrize("height", HEIGHTS[:-1])
def test_each_real_header_leads_to_the_next(height: int) -> None:
    blocks = light_blocks()
    header = to_client_message(blocks[height + 1], Height(2, height), blocks[height + 1].validator_set)
    assert isinstance(verify_update(trust(height), header, OPTIONS, now_ns()), Verified)


def test_a_real_change_of_validators_asks_for_headers_in_between() -> None:
    blocks = light_blocks()
    header = to_client_message(blocks[15], Height(2, 1), blocks[2].validator_set)
    verdict = verify_update(trust(1), header, OPTIONS, now_ns())
    assert isinstance(verdict, NotEnoughTrust)
    assert (verdict.tally.needed, verdict.tally.total) == (34, 103)


def test_a_light_client_finds_its_way_through_the_change() -> None:
    client = LightClient(trust(1), OPTIONS)
    asked = []
    progress: Progress = client.begin(15)
    while isinstance(progress, Need):
        asked.append(progress.height)
        progress = client.step(light_blocks()[progress.height], now_ns())
    assert isinstance(progress, Done)
    assert progress.state == trust(15)
    assert len(progress.headers) > 1
    assert len(asked) < 8
    state = trust(1)
    for header in progress.headers:
        verdict = verify_update(state, header, OPTIONS, now_ns())
        assert isinstance(verdict, Verified)
        state = verdict.state
    assert state == trust(15)


def test_a_real_block_is_trusted_only_by_its_hash() -> None:
    with pytest.raises(HeaderHashMismatch):
        trust_light_block(light_blocks()[3], bytes(32), CHAIN_ID)


def test_a_real_block_with_a_changed_vote_is_not_trusted() -> None:
    block = types_pb2.LightBlock()
    block.CopyFrom(light_blocks()[3])
    block.signed_header.commit.signatures[0].timestamp.nanos ^= 1
    with pytest.raises(InvalidVote):
        trust_light_block(block, block.signed_header.commit.block_id.hash, CHAIN_ID)


def test_real_headers_are_worth_nothing_after_the_trusting_period() -> None:
    header = to_client_message(light_blocks()[2], Height(2, 1), light_blocks()[2].validator_set)
    verdict = verify_update(trust(1), header, OPTIONS, now_ns() + 14 * DAY_NS)
    assert isinstance(verdict, Invalid)
    assert isinstance(verdict.error, TrustExpired)
