from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ibc import errors
from ibc.validators import MAX_TOTAL_POWER, encode_validator, validator_set_from_wire
from tests.support.ibc import make_members, make_validator_set
from wire.tendermint.crypto import keys_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.tendermint.types import validator_pb2


def _set(name: str, value: object) -> Callable[[validator_pb2.ValidatorSet], None]:
    return lambda message: setattr(message.validators[1], name, value)


def _key(**content: bytes) -> Callable[[validator_pb2.ValidatorSet], None]:
    return lambda message: message.validators[1].pub_key.CopyFrom(keys_pb2.PublicKey(**content))


def _repeat(message: validator_pb2.ValidatorSet) -> None:
    message.validators.append(message.validators[0])


def _claim_address(message: validator_pb2.ValidatorSet) -> None:
    message.validators[1].address = message.validators[0].address


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda m: m.ClearField("validators"), errors.MalformedValidatorSet, id="empty"),
        pytest.param(_repeat, errors.MalformedValidatorSet, id="one twice"),
        pytest.param(_claim_address, errors.MalformedValidatorSet, id="address of another"),
        pytest.param(_set("address", b""), errors.MalformedValidatorSet, id="no address"),
        pytest.param(_key(ed25519=b"short"), errors.MalformedValidatorSet, id="key too short"),
        pytest.param(_key(secp256k1=bytes(33)), errors.UnsupportedKeyType, id="secp256k1"),
        pytest.param(_key(bls12381=bytes(48)), errors.UnsupportedKeyType, id="bls"),
        pytest.param(_key(), errors.UnsupportedKeyType, id="no key"),
        pytest.param(_set("voting_power", -1), errors.VotingPowerOutOfRange, id="negative power"),
        pytest.param(_set("voting_power", -(1 << 63)), errors.VotingPowerOutOfRange, id="lowest power"),
        pytest.param(_set("voting_power", (1 << 63) - 1), errors.VotingPowerOutOfRange, id="highest power"),
        pytest.param(
            _set("voting_power", MAX_TOTAL_POWER), errors.VotingPowerOutOfRange, id="sum above bound"
        ),
    ],
)
def test_a_malformed_set_is_refused(
    mutate: Callable[[validator_pb2.ValidatorSet], None], expected: type[errors.IbcError]
) -> None:
    message = make_validator_set(make_members({0: 10, 1: 10, 2: 10}))
    mutate(message)
    with pytest.raises(expected):
        validator_set_from_wire(message)


def test_powers_may_add_up_to_the_bound() -> None:
    message = make_validator_set(make_members({0: MAX_TOTAL_POWER - 1, 1: 1}))
    assert validator_set_from_wire(message).total_power == MAX_TOTAL_POWER


@pytest.mark.parametrize("claim", [0, 1, -5, (1 << 63) - 1])
def test_the_total_is_added_up_whatever_the_message_claims(claim: int) -> None:
    message = make_validator_set(make_members({0: 10, 1: 20}))
    message.total_voting_power = claim
    assert validator_set_from_wire(message).total_power == 30


def test_proposer_and_priorities_are_not_read() -> None:
    message = make_validator_set(make_members({0: 10, 1: 20}))
    expected = validator_set_from_wire(message)
    message.ClearField("proposer")
    message.validators[0].proposer_priority = -77
    assert validator_set_from_wire(message) == expected


def test_a_power_that_hashes_like_another_cannot_be_negative() -> None:
    """10 - 2^64 has the hash of 10; the message cannot carry it, and what it can carry is checked."""
    assert encode_validator(bytes(32), 10 - (1 << 64)) == encode_validator(bytes(32), 10)
    message = make_validator_set(make_members({0: 10}))
    with pytest.raises(ValueError, match="out of range"):
        message.validators[0].voting_power = 10 - (1 << 64)
