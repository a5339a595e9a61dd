"""The 07-tendermint light client: whether a header may be believed, given a state that is.

The on-chain client, the relayer and the SDK all ask `verify_update`, which has three answers.  `Verified` and
`Invalid` are final; `NotEnoughTrust` says that the validators have changed too much since the trusted height, so that
headers in between must be verified first.

`now` is always an argument: on a chain it is the time of the block in execution.

Source: CometBFT `light/verifier.go`; ibc-go `07-tendermint/{update,misbehaviour,misbehaviour_handle}.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ibc.commit import Commit, commit_from_wire
from ibc.errors import (
    HeaderFromFuture,
    HeaderHashMismatch,
    HeightNotNewer,
    IbcError,
    InvalidTrustOptions,
    MalformedHeader,
    MalformedMisbehaviour,
    NoMisbehaviour,
    TimeNotNewer,
    TrustedHeightMismatch,
    TrustExpired,
    TrustNotReached,
    ValidatorSetMismatch,
    WrongChainId,
)
from ibc.header import VoteEncoder, check_header, header_hash
from ibc.identifiers import MAX_CHAIN_ID_BYTES, Height, height_from_wire, parse_revision
from ibc.times import time_from_wire
from ibc.validators import ValidatorSet, validator_set_from_wire
from ibc.voting import Fraction, SignatureCache, Tally, VerdictsOfOneHeader, tally_trusted, verify_quorum

if TYPE_CHECKING:
    from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
    from wire.tendermint.types import types_pb2, validator_pb2


@dataclass(frozen=True, slots=True)
class TrustedState:
    """What is believed of one height."""

    height: int
    time_ns: int
    """Time of the block, Unix nanoseconds."""
    root: bytes
    """App hash in the header: the state after the block below."""
    next_validators_hash: bytes
    """Hash of the validators of the height above, 32 bytes."""


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """How far trust in one chain reaches."""

    chain_id: str
    trust_level: Fraction
    """Share of the trusted power that must have signed a header that is not the next one; from 1/3 to 1."""
    trusting_period_ns: int
    """Age at which a trusted state vouches for nothing any more."""
    max_clock_drift_ns: int
    """How far a header's time may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The header is as good as the trusted state."""

    state: TrustedState


@dataclass(frozen=True, slots=True)
class NotEnoughTrust:
    """The header may be good, but too few of the trusted validators signed it."""

    tally: Tally

    @property
    def error(self) -> TrustNotReached:
        """The verdict as an error, for who cannot go on without the header."""
        tally = self.tally
        return TrustNotReached(
            f"expected more than {tally.needed} of {tally.total} trusted power to sign, got {tally.signed}"
        )


@dataclass(frozen=True, slots=True)
class Invalid:
    """The header is not good, whatever else is shown."""

    error: IbcError


Verdict: TypeAlias = Verified | NotEnoughTrust | Invalid


@dataclass(frozen=True, slots=True)
class _SignedHeader:
    """A header that is bound to its commit and its validators, but not yet to anything trusted."""

    header: types_pb2.Header
    commit: Commit
    validators: ValidatorSet
    time_ns: int

    @property
    def vote_encoder(self) -> VoteEncoder:
        commit = self.commit
        return VoteEncoder(self.header.chain_id, commit.height, commit.round_number, commit.block_id)

    @property
    def state(self) -> TrustedState:
        return TrustedState(
            self.header.height, self.time_ns, self.header.app_hash, self.header.next_validators_hash
        )


def check_trust_options(options: TrustOptions) -> None:
    """Check that the options bound trust soundly.

    Raises:
      InvalidTrustOptions: the chain id, the trust level or a period is out of range.

    """
    size = len(options.chain_id.encode())
    if not 1 <= size <= MAX_CHAIN_ID_BYTES:
        raise InvalidTrustOptions(f"expected a chain id of 1 to {MAX_CHAIN_ID_BYTES} bytes, got {size}")
    level = options.trust_level
    if not 0 < level.denominator <= 3 * level.numerator or level.numerator > level.denominator:
        raise InvalidTrustOptions(
            f"expected a trust level from 1/3 to 1, got {level.numerator}/{level.denominator}"
        )
    if options.trusting_period_ns <= 0 or options.max_clock_drift_ns <= 0:
        raise InvalidTrustOptions(
            f"expected a positive trusting period and clock drift, got {options.trusting_period_ns} and "
            f"{options.max_clock_drift_ns} ns"
        )


def is_expired(time_ns: int, trusting_period_ns: int, now_ns: int) -> bool:
    """Whether a state of that time vouches for nothing any more."""
    return time_ns + trusting_period_ns <= now_ns


def verify_update(
    trusted: TrustedState,
    header: tendermint_pb2.Header,
    options: TrustOptions,
    now_ns: int,
    cache: SignatureCache | None = None,
) -> Verdict:
    """Decide whether a header may be believed because the trusted state is.

    In this order, the cheap checks first and the one whose cost the sender chooses last:

    a. the trusted validators are those that the trusted state announced;
    b. the header is of the same chain revision, and above the trusted height;
    c. the header, its commit and its validators are well-formed and belong together;
    d. the trusted state has not expired;
    e. the header's time is after the trusted one and not too far ahead of `now_ns`;
    f. if it is the next height: its validators are the announced ones;
    g. else: more than the trust level of the announced validators signed it;
    h. more than two thirds of its own validators signed it.
    """
    try:
        trusted_validators = _check_trusted_part(trusted, header, options)
        # Most often they are still the same; then they are read once.
        is_same = header.validator_set.validators == header.trusted_validators.validators
        known = trusted_validators if is_same else None
        candidate = bind_header(header.signed_header, header.validator_set, options.chain_id, known)
        _check_above(trusted, candidate)
        _check_times(trusted, candidate.time_ns, options, now_ns)
        commit = candidate.commit
        encoder = candidate.vote_encoder
        if candidate.header.height == trusted.height + 1:
            _check_validators_hash(trusted.next_validators_hash, candidate.validators.hash)
        else:
            # Without it the votes of those who are still validators would be verified twice.
            cache = VerdictsOfOneHeader() if cache is None else cache
            tally = tally_trusted(trusted_validators, commit, encoder, options.trust_level, cache)
            if not tally.is_enough:
                return NotEnoughTrust(tally)
        verify_quorum(candidate.validators, commit, encoder, cache)
    except IbcError as error:
        return Invalid(error)
    return Verified(candidate.state)


def trust_light_block(
    light_block: types_pb2.LightBlock,
    expected_hash: bytes,
    chain_id: str,
    cache: SignatureCache | None = None,
) -> TrustedState:
    """Return the state of a light block whose header hash is known from elsewhere.

    This is how trust begins: somebody who is trusted says the hash of one header.  The commit is verified too, so that
    a mistyped height is noticed here and not later.

    Raises:
      IbcError: the block has another hash, or is malformed, or was not signed by its validators.

    """
    candidate = bind_header(light_block.signed_header, light_block.validator_set, chain_id)
    got = candidate.commit.block_id.hash
    if got != expected_hash:
        raise HeaderHashMismatch(f"expected the header hash {expected_hash.hex()}, got {got.hex()}")
    verify_quorum(candidate.validators, candidate.commit, candidate.vote_encoder, cache)
    return candidate.state


def check_misbehaviour(
    trusted_1: TrustedState,
    trusted_2: TrustedState,
    misbehaviour: tendermint_pb2.Misbehaviour,
    options: TrustOptions,
    now_ns: int,
    cache: SignatureCache | None = None,
) -> None:
    """Check that two headers show that the chain has contradicted itself.

    There are two forms: two different headers of one height (a fork), and a header that is not later in time than a
    lower one.  Each header is judged by what is trusted at the height that it starts from itself, in this order, the
    checks whose cost the sender chooses last:

    a. both headers are there, and the first is not the lower one;
    b. the trusted validators of each are those that its trusted state announced;
    c. each header, its commit and its validators are well-formed and belong together, and it is above its start;
    d. no trusted state has expired;
    e. the headers contradict each other, in one of the two forms;
    f. more than the trust level of the announced validators signed each of them, also at the next height;
    g. more than two thirds of its own validators signed each of them.

    The times are not compared with `now_ns`: a header far ahead of its time is misbehaviour too (forward lunatic
    attack, GHSA-f3w5-v9xx-rp8p).

    Args:
      trusted_1: what is believed of the height from which `header_1` starts.
      trusted_2: the same of `header_2`.
      misbehaviour: the evidence.
      options: how far trust reaches.
      now_ns: Unix nanoseconds.
      cache: verdicts on signatures that were verified before.

    Raises:
      MalformedMisbehaviour: a header is missing, or the first one is the lower one.
      NoMisbehaviour: both can be true.
      TrustNotReached: too few of the trusted validators signed a header.
      IbcError: a header is not good by itself.

    """
    for name in ("header_1", "header_2"):
        if not misbehaviour.HasField(name):
            raise MalformedMisbehaviour(f"expected two headers, got no {name}")
    shown = [
        (_check_trusted_part(trusted, header, options), _bind_above(trusted, header, options, now_ns))
        for trusted, header in ((trusted_1, misbehaviour.header_1), (trusted_2, misbehaviour.header_2))
    ]
    (_, one), (_, other) = shown
    _check_contradiction(one, other)
    for validators, signed in shown:
        tally = tally_trusted(validators, signed.commit, signed.vote_encoder, options.trust_level, cache)
        if not tally.is_enough:
            raise NotEnoughTrust(tally).error
    for _, signed in shown:
        verify_quorum(signed.validators, signed.commit, signed.vote_encoder, cache)


def _bind_above(
    trusted: TrustedState, header: tendermint_pb2.Header, options: TrustOptions, now_ns: int
) -> _SignedHeader:
    """Check a header of some evidence, but for its signatures."""
    signed = bind_header(header.signed_header, header.validator_set, options.chain_id)
    _check_above(trusted, signed)
    _check_not_expired(trusted, options, now_ns)
    return signed


def _check_contradiction(one: _SignedHeader, other: _SignedHeader) -> None:
    """Check that two headers cannot both be true."""
    high, low = one.header.height, other.header.height
    if high < low:
        raise MalformedMisbehaviour(f"expected the higher header first, got heights {high}, {low}")
    if high == low:
        if one.commit.block_id.hash == other.commit.block_id.hash:
            raise NoMisbehaviour(
                f"expected two different headers of height {high}, got {one.commit.block_id.hash.hex()} twice"
            )
    elif one.time_ns > other.time_ns:
        raise NoMisbehaviour(
            f"expected height {high} not to be later than the {other.time_ns} ns of height {low}, got {one.time_ns} ns"
        )


def bind_header(
    signed_header: types_pb2.SignedHeader,
    validator_set: validator_pb2.ValidatorSet,
    chain_id: str,
    known: ValidatorSet | None = None,
) -> _SignedHeader:
    """Check that header, commit and validators are well-formed and belong together; signatures are not checked.

    `known` is what the validator set was read as before, if it was.

    Raises:
      IbcError: a part is missing or malformed, of another chain, or does not fit the others.

    """
    if not signed_header.HasField("header") or not signed_header.HasField("commit"):
        raise MalformedHeader("expected a header and a commit, got only one of them or none")
    header = signed_header.header
    check_header(header)
    if header.chain_id != chain_id:
        raise WrongChainId(f"expected a header of {chain_id!r}, got one of {header.chain_id[:128]!r}")
    commit = commit_from_wire(signed_header.commit)
    if commit.height != header.height:
        raise HeaderHashMismatch(f"expected a commit of height {header.height}, got one of {commit.height}")
    computed = header_hash(header)
    if commit.block_id.hash != computed:
        raise HeaderHashMismatch(f"expected a commit for {computed.hex()}, got {commit.block_id.hash.hex()}")
    validators = validator_set_from_wire(validator_set) if known is None else known
    _check_validators_hash(header.validators_hash, validators.hash)
    return _SignedHeader(header, commit, validators, time_from_wire(header.time))


def _check_trusted_part(
    trusted: TrustedState, header: tendermint_pb2.Header, options: TrustOptions
) -> ValidatorSet:
    """Check what the header says about where it starts from."""
    start = height_from_wire(header.trusted_height)
    expected = Height(parse_revision(options.chain_id), trusted.height)
    if start != expected:
        raise TrustedHeightMismatch(f"expected the trusted height {expected}, got {start}")
    validators = validator_set_from_wire(header.trusted_validators)
    _check_validators_hash(trusted.next_validators_hash, validators.hash)
    return validators


def _check_validators_hash(expected: bytes, got: bytes) -> None:
    if expected != got:
        raise ValidatorSetMismatch(f"expected validators of hash {expected.hex()}, got {got.hex()}")


def _check_above(trusted: TrustedState, signed: _SignedHeader) -> None:
    if signed.header.height <= trusted.height:
        raise HeightNotNewer(f"expected a height above {trusted.height}, got {signed.header.height}")


def _check_not_expired(trusted: TrustedState, options: TrustOptions, now_ns: int) -> None:
    if is_expired(trusted.time_ns, options.trusting_period_ns, now_ns):
        raise TrustExpired(
            f"expected a trusted state younger than {options.trusting_period_ns} ns, got one of "
            f"{now_ns - trusted.time_ns} ns"
        )


def _check_times(trusted: TrustedState, time_ns: int, options: TrustOptions, now_ns: int) -> None:
    _check_not_expired(trusted, options, now_ns)
    if time_ns <= trusted.time_ns:
        raise TimeNotNewer(f"expected a time after {trusted.time_ns}, got {time_ns}")
    latest = now_ns + options.max_clock_drift_ns
    if time_ns >= latest:
        raise HeaderFromFuture(f"expected a time before {latest}, got {time_ns}")
