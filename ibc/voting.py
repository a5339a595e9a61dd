"""Whether enough voting power signed a commit.

Only votes for the block count.  Votes are verified one after the other until the power suffices; a signature that
does not verify before that refuses the whole header, because honest nodes never store one.

Source: CometBFT `types/validation.go` (VerifyCommitLight, VerifyCommitLightTrusting).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from ibc.errors import CommitSizeMismatch, DoubleVote, InvalidVote, QuorumNotReached, VoterMismatch
from tx.domains import COMMIT_VOTE_CHECK
from tx.failures import InvalidSignature
from tx.keys import SIGNATURE_BYTES, verify_signature

if TYPE_CHECKING:
    from ibc.commit import Commit, Vote
    from ibc.header import VoteEncoder
    from ibc.validators import Validator, ValidatorSet


class SignatureCache(Protocol):
    """Remembers verdicts by the digest of everything that they depend on."""

    def get(self, digest: bytes) -> bool | None:
        """Return the verdict, or None when it is not known."""

    def put(self, digest: bytes, *, verdict: bool) -> None:
        """Remember a verdict."""


class VerdictsOfOneHeader:
    """Remembers verdicts while a header is looked at, for who keeps none for longer."""

    def __init__(self) -> None:
        self._verdicts: dict[bytes, bool] = {}

    def get(self, digest: bytes) -> bool | None:
        """Return the verdict, or None when it is not known."""
        return self._verdicts.get(digest)

    def put(self, digest: bytes, *, verdict: bool) -> None:
        """Remember a verdict."""
        self._verdicts[digest] = verdict


@dataclass(frozen=True, slots=True)
class Fraction:
    """A share of voting power."""

    numerator: int
    denominator: int


QUORUM = Fraction(2, 3)


@dataclass(frozen=True, slots=True)
class Tally:
    """How much power signed."""

    signed: int
    needed: int
    """Power that must be exceeded."""
    total: int

    @property
    def is_enough(self) -> bool:
        """Whether the power that signed exceeds what is needed."""
        return self.signed > self.needed


def needed_power(total: int, share: Fraction) -> int:
    """Return the power that must be exceeded: the share of the total, rounded down."""
    return total * share.numerator // share.denominator


def verify_vote(encoder: VoteEncoder, validator: Validator, vote: Vote, cache: SignatureCache | None) -> None:
    """Verify a validator's signature on its vote, once a node if there is a cache.

    The cache's digest covers key, signature and message: a verdict about one validator must never serve for another
    (ISA-2025-003).

    Raises:
      InvalidVote: the signature does not verify.

    """
    message = encoder.sign_bytes(vote.time_ns)
    # A signature of another length could pass for one with other bytes around it.
    if cache is None or len(vote.signature) != SIGNATURE_BYTES:
        verdict: bool | None = _is_signed(validator, message, vote)
    else:
        digest = sha256(COMMIT_VOTE_CHECK + validator.public_key + vote.signature + message).digest()
        verdict = cache.get(digest)
        if verdict is None:
            verdict = _is_signed(validator, message, vote)
            cache.put(digest, verdict=verdict)
    if not verdict:
        raise InvalidVote(f"expected a signature of validator {validator.address.hex()}, got another one")


def _is_signed(validator: Validator, message: bytes, vote: Vote) -> bool:
    try:
        verify_signature(validator.public_key, message, vote.signature)
    except InvalidSignature:
        return False
    return True


def tally_trusted(
    trusted: ValidatorSet, commit: Commit, encoder: VoteEncoder, share: Fraction, cache: SignatureCache | None
) -> Tally:
    """Count the votes of validators that are trusted already, whoever else signed.

    The commit belongs to another height, so votes are matched by address; strangers are passed over.

    Raises:
      DoubleVote: a trusted validator stands in two slots.
      InvalidVote: a signature does not verify.

    """
    by_address = {validator.address: validator for validator in trusted.validators}
    needed = needed_power(trusted.total_power, share)
    counted: set[bytes] = set()
    signed = 0
    for vote in commit.slots:
        if vote is None:
            continue
        validator = by_address.get(vote.address)
        if validator is None:
            continue
        if vote.address in counted:
            raise DoubleVote(f"expected one vote of validator {vote.address.hex()}, got two")
        counted.add(vote.address)
        verify_vote(encoder, validator, vote, cache)
        signed += validator.power
        if signed > needed:
            break
    return Tally(signed, needed, trusted.total_power)


def verify_quorum(
    validators: ValidatorSet, commit: Commit, encoder: VoteEncoder, cache: SignatureCache | None
) -> None:
    """Verify that more than two thirds of a commit's own validators signed it.

    Votes are matched by place, and the address in the place must be the validator's (CSA-2026-001).

    Raises:
      CommitSizeMismatch: there are more or fewer slots than validators.
      VoterMismatch: a vote carries another validator's address.
      InvalidVote: a signature does not verify.
      QuorumNotReached: too little power signed.

    """
    if len(commit.slots) != len(validators.validators):
        raise CommitSizeMismatch(f"expected {len(validators.validators)} slots, got {len(commit.slots)}")
    votes = [
        (validator, vote)
        for validator, vote in zip(validators.validators, commit.slots, strict=True)
        if vote is not None
    ]
    for validator, vote in votes:
        if vote.address != validator.address:
            raise VoterMismatch(
                f"expected a vote of {validator.address.hex()}, got one of {vote.address.hex()}"
            )
    needed = needed_power(validators.total_power, QUORUM)
    signed = 0
    for validator, vote in votes:
        verify_vote(encoder, validator, vote, cache)
        signed += validator.power
        if signed > needed:
            return
    raise QuorumNotReached(f"expected more than {needed} of {validators.total_power} to sign, got {signed}")
