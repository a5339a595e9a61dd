"""Headers of a chain that exists only in its signatures, for who verifies them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ibc.header import VoteEncoder, block_id_from_wire, header_hash
from ibc.identifiers import Height, height_to_wire, parse_revision
from ibc.tendermint import TrustedState, TrustOptions
from ibc.times import time_to_wire
from ibc.validators import address_of, validator_set_from_wire
from ibc.voting import Fraction
from localnet.keys import derive_key
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.crypto import keys_pb2
from wire.tendermint.types import types_pb2, validator_pb2
from wire.tendermint.version import types_pb2 as version_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tx.keys import SigningKey

SEED: Final = "gradchain bench"
CHAIN_ID: Final = "light-1"
POWER: Final = 10
SECOND_NS: Final = 1_000_000_000
START_NS: Final = 1_900_000_000 * SECOND_NS
TRUSTED_HEIGHT: Final = 1_000
OPTIONS: Final = TrustOptions(CHAIN_ID, Fraction(1, 3), 14 * 86_400 * SECOND_NS, 10 * SECOND_NS)
_DIGEST: Final = sha256(b"anything").digest()


@dataclass(frozen=True, slots=True)
class LightUpdate:
    """A header that verifies, and what is trusted when it is shown."""

    trusted: TrustedState
    header: tendermint_pb2.Header
    options: TrustOptions
    now_ns: int


def make_update(validators: int, height: int) -> LightUpdate:
    """Return a header of a height above `TRUSTED_HEIGHT` that all validators have signed; they are still the same."""
    keys = sorted(
        (derive_key(SEED, f"light validator {number}") for number in range(validators)),
        key=lambda key: address_of(key.public_key),
    )
    members = [
        validator_pb2.Validator(
            address=address_of(key.public_key),
            pub_key=keys_pb2.PublicKey(ed25519=key.public_key),
            voting_power=POWER,
        )
        for key in keys
    ]
    validator_set = validator_pb2.ValidatorSet(validators=members, proposer=members[0])
    set_hash = validator_set_from_wire(validator_set).hash
    time_ns = START_NS + (height - TRUSTED_HEIGHT) * SECOND_NS
    header = _make_header(height, time_ns, set_hash, members[0].address)
    return LightUpdate(
        TrustedState(TRUSTED_HEIGHT, START_NS, _DIGEST, set_hash),
        tendermint_pb2.Header(
            signed_header=types_pb2.SignedHeader(header=header, commit=_sign(header, keys)),
            validator_set=validator_set,
            trusted_height=height_to_wire(Height(parse_revision(CHAIN_ID), TRUSTED_HEIGHT)),
            trusted_validators=validator_set,
        ),
        OPTIONS,
        time_ns + SECOND_NS,
    )


def _make_header(height: int, time_ns: int, set_hash: bytes, proposer: bytes) -> types_pb2.Header:
    return types_pb2.Header(
        version=version_pb2.Consensus(block=11, app=1),
        chain_id=CHAIN_ID,
        height=height,
        time=time_to_wire(time_ns),
        last_block_id=_block_id(_DIGEST),
        last_commit_hash=_DIGEST,
        data_hash=_DIGEST,
        validators_hash=set_hash,
        next_validators_hash=set_hash,
        consensus_hash=_DIGEST,
        app_hash=_DIGEST,
        last_results_hash=_DIGEST,
        evidence_hash=_DIGEST,
        proposer_address=proposer,
    )


def _block_id(block_hash: bytes) -> types_pb2.BlockID:
    return types_pb2.BlockID(hash=block_hash, part_set_header=types_pb2.PartSetHeader(total=1, hash=_DIGEST))


def _sign(header: types_pb2.Header, keys: Sequence[SigningKey]) -> types_pb2.Commit:
    """Return the commit; each validator votes at a time of its own, so that no two sign the same bytes."""
    block_id = _block_id(header_hash(header))
    commit = types_pb2.Commit(height=header.height, block_id=block_id)
    encoder = VoteEncoder(header.chain_id, header.height, 0, block_id_from_wire(block_id))
    for place, key in enumerate(keys):
        time_ns = header.time.ToNanoseconds() + place
        commit.signatures.append(
            types_pb2.CommitSig(
                block_id_flag=validator_pb2.BLOCK_ID_FLAG_COMMIT,
                validator_address=address_of(key.public_key),
                timestamp=time_to_wire(time_ns),
                signature=key.sign(encoder.sign_bytes(time_ns)),
            )
        )
    return commit
