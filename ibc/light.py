"""Following a chain from afar: which light blocks to fetch, and which headers to submit.

If the validators have changed little, one header is enough however far it is.  Else headers in between are needed:
the next attempt is at 9/16 of the way, as in CometBFT's own light client, which halves the distance a little less
than a bisection would and so needs fewer attempts when validators change slowly.

`LightClient` decides and never fetches: whoever drives it does the IO, in whatever way it likes.

```
progress = client.begin(target)
while isinstance(progress, Need):
    progress = client.step(fetch(progress.height), now_ns)
```

Source: CometBFT `light/client.go` (verifySkipping).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from ibc.commit import commit_from_wire
from ibc.errors import BisectionTooLong, HeightNotNewer, IbcError, InvalidVote, UnexpectedLightBlock
from ibc.header import VoteEncoder
from ibc.identifiers import Height, height_to_wire, parse_revision
from ibc.tendermint import (
    NotEnoughTrust,
    TrustedState,
    TrustOptions,
    Verified,
    check_trust_options,
    verify_update,
)
from ibc.times import GO_ZERO_TIME_NS, time_to_wire
from ibc.validators import validator_set_from_wire
from ibc.voting import verify_vote
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from ibc.voting import SignatureCache

MAX_FETCHES: Final = 1_000
"""Most light blocks that one target may cost; a bisection that needs more is not honest."""


@dataclass(frozen=True, slots=True)
class Need:
    """The light block of a height is needed to go on."""

    height: int


@dataclass(frozen=True, slots=True)
class Done:
    """The target is verified."""

    state: TrustedState
    headers: tuple[tendermint_pb2.Header, ...]
    """What an on-chain client must be shown, in this order; empty if the target was trusted already."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The target cannot be verified with what the node served.  What was verified on the way stays trusted."""

    error: IbcError


Progress: TypeAlias = Need | Done | Failed


def pivot_height(trusted: int, target: int) -> int:
    """Return the height to try when a header at `target` lacks trust; it lies strictly between the two."""
    return trusted + (target - trusted) * 9 // 16


def to_client_message(
    light_block: types_pb2.LightBlock, trusted_height: Height, trusted_validators: validator_pb2.ValidatorSet
) -> tendermint_pb2.Header:
    """Return the header that teaches a client the light block.

    The trusted validators are those of the height above the trusted one.
    """
    return tendermint_pb2.Header(
        signed_header=light_block.signed_header,
        validator_set=light_block.validator_set,
        trusted_height=height_to_wire(trusted_height),
        trusted_validators=trusted_validators,
    )


def without_unverifiable_votes(
    light_block: types_pb2.LightBlock, chain_id: str, cache: SignatureCache | None = None
) -> types_pb2.LightBlock:
    """Return the light block with every vote marked as absent whose signature does not verify here.

    CometBFT verifies by ZIP-215, which accepts a few signatures that libsodium refuses.  A validator that signs in such
    a way on purpose could make honest commits unverifiable for us; leaving its vote out is all it takes to go on.

    Raises:
      IbcError: commit or validators are malformed, or do not fit each other.

    """
    commit = commit_from_wire(light_block.signed_header.commit)
    validators = validator_set_from_wire(light_block.validator_set).validators
    if len(commit.slots) != len(validators):
        raise UnexpectedLightBlock(f"expected {len(validators)} slots, got {len(commit.slots)}")
    encoder = VoteEncoder(chain_id, commit.height, commit.round_number, commit.block_id)
    cleaned = types_pb2.LightBlock()
    cleaned.CopyFrom(light_block)
    for index, (validator, vote) in enumerate(zip(validators, commit.slots, strict=True)):
        if vote is None:
            continue
        try:
            verify_vote(encoder, validator, vote, cache)
        except InvalidVote:
            cleaned.signed_header.commit.signatures[index].CopyFrom(absent_slot())
    return cleaned


def absent_slot() -> types_pb2.CommitSig:
    """Return the slot of a validator that did not vote."""
    return types_pb2.CommitSig(
        block_id_flag=validator_pb2.BLOCK_ID_FLAG_ABSENT, timestamp=time_to_wire(GO_ZERO_TIME_NS)
    )


@dataclass(slots=True)
class _Search:
    """What is on the way to one target."""

    goals: list[int]
    """Heights to verify, the next one last."""
    blocks: dict[int, types_pb2.LightBlock] = field(default_factory=dict)
    headers: list[tendermint_pb2.Header] = field(default_factory=list)
    """What was verified, in order."""
    asked: int | None = None
    """The height of the light block that is awaited."""
    fetches: int = 0


class LightClient:
    """A light client without IO: it says which light block it needs, and is given it."""

    def __init__(
        self, trusted: TrustedState, options: TrustOptions, cache: SignatureCache | None = None
    ) -> None:
        """Start from a trusted state.

        Raises:
          InvalidTrustOptions: the options do not bound trust soundly.

        """
        check_trust_options(options)
        self._trusted = trusted
        self._options = options
        self._cache = cache
        self._revision = parse_revision(options.chain_id)
        self._validators: dict[bytes, validator_pb2.ValidatorSet] = {}
        self._search = _Search([])

    @property
    def trusted(self) -> TrustedState:
        """The newest verified state."""
        return self._trusted

    def begin(self, target: int) -> Progress:
        """Start on the way to a height; what was not finished before is dropped."""
        announced = self._trusted.next_validators_hash
        self._validators = {
            digest: known for digest, known in self._validators.items() if digest == announced
        }
        self._search = _Search([target])
        if target < self._trusted.height:
            return Failed(HeightNotNewer(f"expected a height from {self._trusted.height}, got {target}"))
        if target == self._trusted.height:
            return Done(self._trusted, ())
        return self._ask(target)

    def step(self, light_block: types_pb2.LightBlock, now_ns: int) -> Progress:
        """Take the light block that was asked for, verified against the clock of the caller."""
        try:
            self._take(light_block)
            return self._advance(now_ns)
        except IbcError as error:
            return Failed(error)

    def _ask(self, height: int) -> Need:
        if self._search.fetches >= MAX_FETCHES:
            raise BisectionTooLong(f"expected at most {MAX_FETCHES} light blocks, got a need for more")
        self._search.fetches += 1
        self._search.asked = height
        return Need(height)

    def _take(self, light_block: types_pb2.LightBlock) -> None:
        height = light_block.signed_header.header.height
        if height != self._search.asked:
            raise UnexpectedLightBlock(f"expected a light block of height {self._search.asked}, got {height}")
        self._search.asked = None
        validators = validator_set_from_wire(light_block.validator_set)
        self._search.blocks[height] = light_block
        self._validators[validators.hash] = light_block.validator_set

    def _advance(self, now_ns: int) -> Progress:
        """Verify what can be verified, until a light block is missing or the target is reached."""
        search = self._search
        while search.goals:
            goal = search.goals[-1]
            block = search.blocks.get(goal)
            if block is None:
                return self._ask(goal)
            validators = self._validators.get(self._trusted.next_validators_hash)
            if validators is None:
                return self._ask_validators()
            start = Height(self._revision, self._trusted.height)
            header = to_client_message(block, start, validators)
            verdict = verify_update(self._trusted, header, self._options, now_ns, self._cache)
            if isinstance(verdict, Verified):
                self._trusted = verdict.state
                search.headers.append(header)
                search.goals.pop()
            elif isinstance(verdict, NotEnoughTrust):
                search.goals.append(pivot_height(self._trusted.height, goal))
            else:
                return Failed(verdict.error)
        return Done(self._trusted, tuple(search.headers))

    def _ask_validators(self) -> Need:
        """Ask for the height above the trusted one: it has the validators that the trusted state announced."""
        height = self._trusted.height + 1
        if height in self._search.blocks:
            raise UnexpectedLightBlock(
                f"expected validators of hash {self._trusted.next_validators_hash.hex()} at height {height}, got others"
            )
        return self._ask(height)
