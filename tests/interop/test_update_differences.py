"""Where our light client decides otherwise than the reference implementations: one example of each difference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ibc.tendermint import Invalid, NotEnoughTrust, Verified, verify_update
from ibc.times import GO_ZERO_TIME_NS
from ibc.validators import address_of
from ibc.voting import Fraction
from tests.interop import differences
from tests.interop.update_case import ABSENT, COMMIT, TRUSTED_HEIGHT, UpdateCase, make_update
from tests.support.ibc import make_members, make_slot
from tests.support.judge_go import INVALID, UNTRUSTED, VERIFIED, Judge
from wire.tendermint.crypto import keys_pb2

if TYPE_CHECKING:
    from tests.interop.differences import Difference

FOUR = {0: 10, 1: 10, 2: 10, 3: 10}
NEXT = TRUSTED_HEIGHT + 1


def check_difference(
    judge: Judge,
    case: UpdateCase,
    expected: Difference,
    ours: type[Verified | NotEnoughTrust | Invalid],
    theirs: str,
) -> None:
    """Assert both verdicts, and that the difference is the expected one."""
    got = verify_update(case.trusted, case.header, case.options, case.now_ns)
    assert isinstance(got, ours), got
    judged = judge.judge_update(case.trusted, case.header, case.options, case.now_ns)
    for opinion in (judged.ibc, judged.light):
        assert opinion.verdict == theirs, opinion
        assert differences.explain(got, opinion) is expected


def check_agreement(judge: Judge, case: UpdateCase, verdict: str) -> None:
    """Assert that all have the same verdict."""
    got = verify_update(case.trusted, case.header, case.options, case.now_ns)
    judged = judge.judge_update(case.trusted, case.header, case.options, case.now_ns)
    assert {differences.name_of(got), judged.ibc.verdict, judged.light.verdict} == {verdict}


def test_a_forged_vote_is_invalid_for_us_before_trust_is_counted(judge: Judge) -> None:
    case = make_update(FOUR, {0: 10, 5: 10, 6: 10})
    check_agreement(judge, case, UNTRUSTED)
    known = address_of(make_members({0: 10})[0].key.public_key)
    (slot,) = [slot for slot in case.slots if slot.validator_address == known]
    slot.signature = bytes(64)
    check_difference(judge, case, differences.FORGED_VOTE_WITHOUT_TRUST, Invalid, UNTRUSTED)


def test_a_forged_vote_in_a_commit_of_one_slot_is_invalid_everywhere(judge: Judge) -> None:
    """Without a batch CometBFT verifies first too; so its own verdict depends on the number of slots."""
    case = make_update(FOUR, {0: 10})
    check_agreement(judge, case, UNTRUSTED)
    case.slots[0].signature = bytes(64)
    check_agreement(judge, case, INVALID)


def test_a_commit_without_a_vote_is_invalid_for_us(judge: Judge) -> None:
    case = make_update(FOUR, FOUR, flags=[ABSENT] * 4)
    check_difference(judge, case, differences.NO_VOTE_AT_ALL, Invalid, UNTRUSTED)


def test_a_stranger_after_the_quorum_is_invalid_for_us(judge: Judge) -> None:
    case = make_update(FOUR, FOUR, height=NEXT)
    check_agreement(judge, case, VERIFIED)
    case.slots[3].validator_address = bytes(20)
    check_difference(judge, case, differences.STRANGER_AFTER_QUORUM, Invalid, VERIFIED)


def test_a_stranger_before_the_quorum_is_invalid_everywhere(judge: Judge) -> None:
    case = make_update(FOUR, FOUR, height=NEXT)
    case.slots[2].validator_address = bytes(20)
    check_agreement(judge, case, INVALID)


def test_a_validator_that_is_twice_in_a_set_is_invalid_for_us(judge: Judge) -> None:
    case = make_update(FOUR, FOUR, height=NEXT)
    for validators in (case.header.validator_set, case.header.trusted_validators):
        validators.validators.add().CopyFrom(validators.validators[0])
    case.signers.append(case.signers[0])
    case.flags.append(COMMIT)
    case.trust_these_validators()
    case.seal()
    check_difference(judge, case, differences.VALIDATOR_TWICE, Invalid, VERIFIED)


def test_a_vote_without_a_time_is_invalid_for_us(judge: Judge) -> None:
    case = make_update(FOUR, FOUR)
    vote = make_slot(case.inner.chain_id, case.commit, case.signers[0], GO_ZERO_TIME_NS)
    case.slots[0].CopyFrom(vote)
    check_agreement(judge, case, VERIFIED)  # the same vote, with the time that Go reads
    case.slots[0].ClearField("timestamp")
    check_difference(judge, case, differences.VOTE_WITHOUT_TIME, Invalid, VERIFIED)


def test_a_header_without_next_validators_is_invalid_for_us(judge: Judge) -> None:
    case = make_update(FOUR, FOUR)
    case.inner.next_validators_hash = b""
    case.seal()
    check_difference(judge, case, differences.NO_NEXT_VALIDATORS, Invalid, VERIFIED)


def test_another_type_of_key_is_invalid_for_us(judge: Judge) -> None:
    """It need not even have voted."""
    case = make_update(FOUR, FOUR, flags=[COMMIT, COMMIT, COMMIT, ABSENT])
    check_agreement(judge, case, VERIFIED)
    case = with_secp256k1_validator(case)
    check_difference(judge, case, differences.OTHER_KEY_TYPE, Invalid, VERIFIED)


def with_secp256k1_validator(case: UpdateCase) -> UpdateCase:
    """Return the case with such a key in the last place."""
    key = keys_pb2.PublicKey(secp256k1=bytes.fromhex("02" + SECP256K1_GENERATOR_X))
    last = case.header.validator_set.validators[3]
    last.pub_key.CopyFrom(key)
    last.address = bytes.fromhex(SECP256K1_ADDRESS)
    case.seal()
    return case


SECP256K1_GENERATOR_X = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
SECP256K1_ADDRESS = "751e76e8199196d454941c45d1b3a323f1433bd6"
"""RIPEMD-160 of SHA-256 of the compressed generator, as in BIP 173's example."""


def test_a_key_of_small_order_never_verifies_for_us(judge: Judge) -> None:
    """The neutral element signs everything under ZIP-215, with a signature that anybody can write down."""
    case = make_update(FOUR, FOUR, height=NEXT)
    neutral = b"\x01" + bytes(31)
    for validators in (case.header.validator_set, case.header.trusted_validators):
        first = validators.validators[0]
        first.pub_key.ed25519 = neutral
        first.address = address_of(neutral)
        validators.proposer.CopyFrom(first)
    case.trust_these_validators()
    case.seal()
    slot = case.slots[0]
    slot.validator_address, slot.signature = address_of(neutral), neutral + bytes(32)
    check_difference(judge, case, differences.LENIENT_SIGNATURE, Invalid, VERIFIED)


def test_the_proposer_does_not_matter_to_us(judge: Judge) -> None:
    case = make_update(FOUR, FOUR)
    case.header.validator_set.ClearField("proposer")
    check_difference(judge, case, differences.PROPOSER, Verified, INVALID)
    case = make_update(FOUR, {0: 10, 5: 10, 6: 10})
    stranger = make_members({9: 1})[0]
    case.header.trusted_validators.proposer.CopyFrom(stranger.to_wire())
    check_difference(judge, case, differences.PROPOSER, NotEnoughTrust, INVALID)


def test_a_trust_level_with_a_huge_numerator_means_what_it_says(judge: Judge) -> None:
    case = make_update(FOUR, FOUR)
    case.options = replace(case.options, trust_level=Fraction(2**60, 2**61))
    check_difference(judge, case, differences.LEVEL_OVERFLOW, Verified, INVALID)


def test_every_difference_is_shown() -> None:
    """The number of these is the number of examples above."""
    assert len(differences.DIFFERENCES) == 10
