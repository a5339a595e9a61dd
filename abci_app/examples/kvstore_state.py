"""The state of the kvstore example, and how a block changes it.  Pure.

The whole state has one encoding, which is cut into chunks.  The app hash is the hash of the chunks' hashes, so the
chunks of a snapshot can be checked one by one against the app hash of a header.  That costs time in proportion to
the whole state in every block: fine for an example, and no way to build a store.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.errors import CorruptState
from wire.tendermint.abci import types_pb2
from wire.tendermint.crypto import keys_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CHUNK_BYTES: Final = 64 * 1024
"""Size of a chunk of the encoded state; CometBFT would carry up to 16 MB."""

OK: Final = 0
INVALID_FORMAT: Final = 2
IMPOSSIBLE_VALIDATOR: Final = 3
"""Codes of transactions."""

VALIDATOR_PREFIX: Final = b"val="
"""A transaction `val=ed25519!PUBLIC_KEY_IN_BASE64!POWER` changes a validator's power; zero removes it."""

ED25519_BYTES: Final = 32
MAX_TOTAL_POWER: Final = (2**63 - 1) // 8
"""Largest total power that CometBFT counts; it stops when an update goes beyond."""

MAX_POWER_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class KvState:
    """Everything that the app hash covers.  Height and time are not part of it, so that a chain can idle."""

    size: int = 0
    """How many transactions have succeeded."""
    pairs: Mapping[bytes, bytes] = field(default_factory=dict)
    validators: Mapping[bytes, int] = field(default_factory=dict)
    """Power by the encoding of the public key."""


@dataclass(frozen=True, slots=True)
class BlockChange:
    """What a block did."""

    state: KvState
    codes: tuple[int, ...]
    """One a transaction."""


def classify(tx: bytes) -> int:
    """Return the code of a transaction as far as it can be known without state."""
    if tx.startswith(VALIDATOR_PREFIX):
        return INVALID_FORMAT if parse_validator_tx(tx) is None else OK
    return INVALID_FORMAT if parse_pair_tx(tx) is None else OK


def parse_pair_tx(tx: bytes) -> tuple[bytes, bytes] | None:
    """Return key and value of `key=value`: one `=`, and something on both sides of it."""
    key, _, value = tx.partition(b"=")
    return (key, value) if key and value and b"=" not in value else None


def parse_validator_tx(tx: bytes) -> tuple[bytes, int] | None:
    """Return the encoded public key and the power of a transaction about a validator."""
    parts = tx.removeprefix(VALIDATOR_PREFIX).split(b"!")
    if len(parts) != 3 or parts[0] != b"ed25519":
        return None
    try:
        key = base64.b64decode(parts[1], validate=True)
    except binascii.Error:
        return None
    digits = parts[2]
    if len(key) != ED25519_BYTES or not digits.isdigit() or len(digits) > MAX_POWER_DIGITS:
        return None
    return keys_pb2.PublicKey(ed25519=key).SerializeToString(deterministic=True), int(digits)


def apply_block(
    state: KvState, txs: Iterable[bytes], misbehavior: Iterable[types_pb2.Misbehavior] = ()
) -> BlockChange:
    """Execute a block: validators who signed twice lose power, then the transactions in their order."""
    pairs, validators = dict(state.pairs), dict(state.validators)
    for evidence in misbehavior:
        if evidence.type == types_pb2.MisbehaviorType.DUPLICATE_VOTE:
            _punish(validators, evidence.validator.address)
    codes = tuple(_apply_tx(pairs, validators, tx) for tx in txs)
    return BlockChange(KvState(state.size + codes.count(OK), pairs, validators), codes)


def validator_updates(before: KvState, after: KvState) -> list[types_pb2.ValidatorUpdate]:
    """Return the changes of power that CometBFT is to take over, each validator once, in the order of the keys."""
    keys = sorted(before.validators.keys() | after.validators.keys())
    return [
        types_pb2.ValidatorUpdate(
            pub_key=keys_pb2.PublicKey.FromString(key), power=after.validators.get(key, 0)
        )
        for key in keys
        if before.validators.get(key, 0) != after.validators.get(key, 0)
    ]


def _apply_tx(pairs: dict[bytes, bytes], validators: dict[bytes, int], tx: bytes) -> int:
    """Apply one transaction and return its code."""
    if tx.startswith(VALIDATOR_PREFIX):
        change = parse_validator_tx(tx)
        return INVALID_FORMAT if change is None else _set_power(validators, *change)
    pair = parse_pair_tx(tx)
    if pair is None:
        return INVALID_FORMAT
    pairs[pair[0]] = pair[1]
    return OK


def _set_power(validators: dict[bytes, int], key: bytes, power: int) -> int:
    """Change a validator's power, unless CometBFT would stop because of it."""
    others = sum(validators.values()) - validators.get(key, 0)
    if power == 0:
        if key not in validators or not others:
            return IMPOSSIBLE_VALIDATOR
        del validators[key]
        return OK
    if others + power > MAX_TOTAL_POWER:
        return IMPOSSIBLE_VALIDATOR
    validators[key] = power
    return OK


def _punish(validators: dict[bytes, int], address: bytes) -> None:
    """Take one unit of power from the validator with this address, if it is known and others remain."""
    for key in sorted(validators):
        if sha256(keys_pb2.PublicKey.FromString(key).ed25519).digest()[:20] == address:
            _set_power(validators, key, validators[key] - 1)
            return


def encode_state(state: KvState) -> bytes:
    """Return the one encoding of a state: entries sorted by key, every length and number of eight bytes."""
    parts = [struct.pack(">QQ", state.size, len(state.validators))]
    for key, power in sorted(state.validators.items()):
        parts += [struct.pack(">QQ", len(key), power), key]
    parts.append(struct.pack(">Q", len(state.pairs)))
    for key, value in sorted(state.pairs.items()):
        parts += [struct.pack(">QQ", len(key), len(value)), key, value]
    return b"".join(parts)


def decode_state(data: bytes) -> KvState:
    """Return the state of an encoding.

    Raises:
      CorruptState: the bytes are not what `encode_state` gives for any state.

    """
    try:
        state = _decode(data)
    except (struct.error, OverflowError):  # a length beyond the bytes, and beyond what an offset can hold
        raise CorruptState(f"expected an encoded state, got {len(data)} bytes that end too early") from None
    if encode_state(state) != data:
        raise CorruptState(f"expected an encoded state, got {len(data)} bytes in another form")
    return state


def _decode(data: bytes) -> KvState:
    size, count = struct.unpack_from(">QQ", data)
    offset = 16
    validators: dict[bytes, int] = {}
    for _ in range(count):
        length, power = struct.unpack_from(">QQ", data, offset)
        validators[data[offset + 16 : offset + 16 + length]] = power
        offset += 16 + length
    (count,) = struct.unpack_from(">Q", data, offset)
    offset += 8
    pairs: dict[bytes, bytes] = {}
    for _ in range(count):
        key_length, value_length = struct.unpack_from(">QQ", data, offset)
        middle = offset + 16 + key_length
        pairs[data[offset + 16 : middle]] = data[middle : middle + value_length]
        offset = middle + value_length
    return KvState(size, pairs, validators)


def cut_chunks(data: bytes) -> list[bytes]:
    """Cut an encoded state, which is never empty, into chunks."""
    return [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]


def hash_chunks(chunks: Sequence[bytes]) -> bytes:
    """Return the hashes of the chunks, one after another: the metadata of a snapshot."""
    return b"".join(sha256(chunk).digest() for chunk in chunks)


def hash_state(data: bytes) -> bytes:
    """Return the app hash of an encoded state."""
    return sha256(hash_chunks(cut_chunks(data))).digest()
