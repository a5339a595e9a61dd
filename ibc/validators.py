"""Validator sets: who may sign the blocks of a height, and with how much power.

A set comes from a relayer, so nothing in it is believed until its hash was compared with one in a header.  Some of
its fields are in no hash: addresses, which are recomputed here, and the total power, which is added up here.  The
proposer and the proposers' priorities are not read at all (ASA-2024-009).

Powers need care in a language whose integers do not overflow: the hash sees only the lowest 64 bits of a power, so a
power of 10 - 2^64 would hash like one of 10 and make the total negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ibc.errors import MalformedValidatorSet, UnsupportedKeyType, VotingPowerOutOfRange
from ibc.protowire import bytes_field, message_field, varint_field
from ibc.rfc6962 import merkle_root

if TYPE_CHECKING:
    from wire.tendermint.types import validator_pb2

ADDRESS_BYTES: Final = 20
PUBLIC_KEY_BYTES: Final = 32

MAX_TOTAL_POWER: Final = ((1 << 63) - 1) // 8
"""CometBFT's bound on the sum of the powers of a set."""


@dataclass(frozen=True, slots=True)
class Validator:
    """One member of a set."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    address: bytes
    """First 20 bytes of the key's SHA-256."""
    power: int


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """A well-formed set, in the order in which votes stand in a commit."""

    validators: tuple[Validator, ...]
    total_power: int
    hash: bytes


def address_of(public_key: bytes) -> bytes:
    """Return the address of an Ed25519 key."""
    return sha256(public_key).digest()[:ADDRESS_BYTES]


def encode_validator(public_key: bytes, power: int) -> bytes:
    """Return the leaf of a validator in the Merkle tree of its set."""
    return message_field(1, bytes_field(1, public_key)) + varint_field(2, power)


def validator_set_from_wire(message: validator_pb2.ValidatorSet) -> ValidatorSet:
    """Return the set of a message.

    Raises:
      UnsupportedKeyType: a key is not an Ed25519 one.
      VotingPowerOutOfRange: a power is negative, or their sum exceeds the bound.
      MalformedValidatorSet: the set is empty, has a validator twice, or one with another key's address.

    """
    validators = []
    leaves = []
    addresses = set()
    total = 0
    for wire in message.validators:
        kind = wire.pub_key.WhichOneof("sum")
        if kind != "ed25519":
            raise UnsupportedKeyType(f"expected an ed25519 key, got {kind or 'an unknown one'}")
        public_key, power = wire.pub_key.ed25519, wire.voting_power
        if len(public_key) != PUBLIC_KEY_BYTES:
            raise MalformedValidatorSet(f"expected a key of {PUBLIC_KEY_BYTES} bytes, got {len(public_key)}")
        total += power
        if power < 0 or total > MAX_TOTAL_POWER:
            raise VotingPowerOutOfRange(f"expected powers from 0 to a sum of {MAX_TOTAL_POWER}, got {power}")
        address = address_of(public_key)
        if wire.address != address:
            raise MalformedValidatorSet(f"expected address {address.hex()}, got {wire.address.hex()}")
        if address in addresses:
            raise MalformedValidatorSet(f"expected each validator once, got {address.hex()} twice")
        addresses.add(address)
        validators.append(Validator(public_key, address, power))
        leaves.append(encode_validator(public_key, power))
    if not validators:
        raise MalformedValidatorSet("expected at least one validator, got none")
    return ValidatorSet(tuple(validators), total, merkle_root(leaves))
