"""What a chain keeps of a light client: how far to trust the other chain, and what it has learnt of its heights.

Both travel and are stored as ibc-go's messages inside `Any`, byte for byte as ibc-go would write them.

Source: ibc-go `07-tendermint/{client_state,consensus_state}.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage

from ibc.errors import InvalidClientState, InvalidConsensusState, UnsupportedClientMessage
from ibc.header import HASH_BYTES
from ibc.identifiers import ZERO_HEIGHT, Height, height_from_wire, height_to_wire, parse_revision
from ibc.proof_spec import ProofSpec, spec_from_wire, spec_to_wire
from ibc.tendermint import TrustedState, TrustOptions, check_trust_options
from ibc.times import duration_from_wire, duration_to_wire, time_from_wire, time_to_wire
from ibc.voting import Fraction
from tx.codec import encode
from wire.ibc.core.commitment.v1 import commitment_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

CLIENT_STATE_URL: Final = "/" + tendermint_pb2.ClientState.DESCRIPTOR.full_name
CONSENSUS_STATE_URL: Final = "/" + tendermint_pb2.ConsensusState.DESCRIPTOR.full_name
HEADER_URL: Final = "/" + tendermint_pb2.Header.DESCRIPTOR.full_name
MISBEHAVIOUR_URL: Final = "/" + tendermint_pb2.Misbehaviour.DESCRIPTOR.full_name

FROZEN: Final = Height(0, 1)
"""What ibc-go writes as the height of a frozen client, whatever the misbehaviour was."""

MAX_SPECS: Final = 8
"""Most nested trees that a client may be asked to follow."""

MAX_UPGRADE_PATH: Final = 32
MAX_UPGRADE_KEY_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class ClientState:
    """A light client."""

    trust: TrustOptions
    unbonding_period_ns: int
    latest_height: Height
    frozen_height: Height
    """0-0 unless the client was frozen."""
    proof_specs: tuple[ProofSpec, ...]
    """Formats of the other chain's trees, the innermost first."""
    upgrade_path: tuple[str, ...] = ()

    @property
    def is_frozen(self) -> bool:
        """Whether the other chain was caught contradicting itself."""
        return self.frozen_height != ZERO_HEIGHT

    @property
    def revision(self) -> int:
        """Revision of the other chain."""
        return self.latest_height.revision

    def freeze(self) -> ClientState:
        """Return the client, frozen."""
        return replace(self, frozen_height=FROZEN)

    def recover(self, substitute: ClientState) -> ClientState:
        """Return the client where the substitute is, thawed; whether they fit each other is checked elsewhere."""
        return replace(
            self,
            trust=replace(self.trust, trusting_period_ns=substitute.trust.trusting_period_ns),
            latest_height=substitute.latest_height,
            frozen_height=ZERO_HEIGHT,
        )

    def advance(self, height: int) -> ClientState:
        """Return the client with a latest height of at least the given one."""
        return replace(self, latest_height=Height(self.revision, max(height, self.latest_height.height)))


def client_state_from_wire(message: tendermint_pb2.ClientState) -> ClientState:
    """Return the client of a message, checked as for its creation except that it may be frozen.

    Raises:
      IbcError: a field is missing or out of range.

    """
    latest = height_from_wire(message.latest_height)
    trust = TrustOptions(
        chain_id=message.chain_id,
        trust_level=Fraction(message.trust_level.numerator, message.trust_level.denominator),
        trusting_period_ns=duration_from_wire(message.trusting_period),
        max_clock_drift_ns=duration_from_wire(message.max_clock_drift),
    )
    check_trust_options(trust)
    unbonding = duration_from_wire(message.unbonding_period)
    if trust.trusting_period_ns >= unbonding:
        raise InvalidClientState(
            f"expected a trusting period below the unbonding period of {unbonding} ns, got {trust.trusting_period_ns}"
        )
    revision = parse_revision(message.chain_id)
    if latest.revision != revision or latest.height == 0:
        raise InvalidClientState(f"expected a latest height from {revision}-1, got {latest}")
    if not 1 <= len(message.proof_specs) <= MAX_SPECS:
        raise InvalidClientState(f"expected 1 to {MAX_SPECS} proof specs, got {len(message.proof_specs)}")
    path = tuple(message.upgrade_path)
    if len(path) > MAX_UPGRADE_PATH or any(not key or len(key) > MAX_UPGRADE_KEY_BYTES for key in path):
        raise InvalidClientState(
            f"expected at most {MAX_UPGRADE_PATH} upgrade keys of 1 to {MAX_UPGRADE_KEY_BYTES} bytes, got {len(path)} of "
            f"{min(map(len, path))} to {max(map(len, path))} bytes"
        )
    return ClientState(
        trust=trust,
        unbonding_period_ns=unbonding,
        latest_height=latest,
        frozen_height=height_from_wire(message.frozen_height),
        proof_specs=tuple(spec_from_wire(spec) for spec in message.proof_specs),
        upgrade_path=path,
    )


def client_state_to_wire(client: ClientState) -> tendermint_pb2.ClientState:
    """Return the client as a message, with every field that ibc-go always writes."""
    level = client.trust.trust_level
    return tendermint_pb2.ClientState(
        chain_id=client.trust.chain_id,
        trust_level=tendermint_pb2.Fraction(numerator=level.numerator, denominator=level.denominator),
        trusting_period=duration_to_wire(client.trust.trusting_period_ns),
        unbonding_period=duration_to_wire(client.unbonding_period_ns),
        max_clock_drift=duration_to_wire(client.trust.max_clock_drift_ns),
        frozen_height=height_to_wire(client.frozen_height),
        latest_height=height_to_wire(client.latest_height),
        proof_specs=[spec_to_wire(spec) for spec in client.proof_specs],
        upgrade_path=client.upgrade_path,
    )


def consensus_state_from_wire(message: tendermint_pb2.ConsensusState, height: int) -> TrustedState:
    """Return what a message says of a height.

    Raises:
      InvalidConsensusState: the validators' hash has not 32 bytes, or the time is before 1970.
      MalformedTime: the time is out of range.

    """
    time_ns = time_from_wire(message.timestamp)
    if time_ns <= 0:
        raise InvalidConsensusState(f"expected a time after 1970, got {time_ns}")
    if len(message.next_validators_hash) != HASH_BYTES:
        raise InvalidConsensusState(
            f"expected a hash of {HASH_BYTES} bytes of the next validators, got {len(message.next_validators_hash)}"
        )
    return TrustedState(height, time_ns, message.root.hash, message.next_validators_hash)


def consensus_state_to_wire(state: TrustedState) -> tendermint_pb2.ConsensusState:
    """Return what is known of a height as a message, with every field that ibc-go always writes."""
    return tendermint_pb2.ConsensusState(
        timestamp=time_to_wire(state.time_ns),
        root=commitment_pb2.MerkleRoot(hash=state.root),
        next_validators_hash=state.next_validators_hash,
    )


def pack_client_state(client: ClientState) -> AnyMessage:
    """Return the client as it travels and is stored."""
    return AnyMessage(type_url=CLIENT_STATE_URL, value=encode(client_state_to_wire(client)))


def pack_consensus_state(state: TrustedState) -> AnyMessage:
    """Return what is known of a height as it travels and is stored."""
    return AnyMessage(type_url=CONSENSUS_STATE_URL, value=encode(consensus_state_to_wire(state)))


def pack_header(header: tendermint_pb2.Header) -> AnyMessage:
    """Return a header as it travels in a client update."""
    return AnyMessage(type_url=HEADER_URL, value=encode(header))


def pack_misbehaviour(misbehaviour: tendermint_pb2.Misbehaviour) -> AnyMessage:
    """Return evidence as it travels in a client update."""
    return AnyMessage(type_url=MISBEHAVIOUR_URL, value=encode(misbehaviour))


def check_type_url(packed: AnyMessage, expected: str) -> None:
    """Check that an `Any` holds what it should.

    Raises:
      UnsupportedClientMessage: it holds something else.

    """
    if packed.type_url != expected:
        raise UnsupportedClientMessage(f"expected a {expected}, got a {packed.type_url[:128]!r}")


def check_new_client(client: ClientState, state: TrustedState) -> None:
    """Check what a client may start from, beyond what is checked of each part.

    Raises:
      InvalidClientState: it is frozen already.
      InvalidConsensusState: the root is none that anything can be proven against.

    """
    if client.is_frozen:
        raise InvalidClientState(
            f"expected a client that is not frozen, got one frozen at {client.frozen_height}"
        )
    if len(state.root) != HASH_BYTES:
        raise InvalidConsensusState(f"expected a root of {HASH_BYTES} bytes, got {len(state.root)}")


def make_client_state(
    trust: TrustOptions,
    unbonding_period_ns: int,
    latest_height: int,
    proof_specs: tuple[ProofSpec, ...],
) -> ClientState:
    """Return a new client of a chain.

    Raises:
      IbcError: a value is out of range.

    """
    height = Height(parse_revision(trust.chain_id), latest_height)
    client = ClientState(trust, unbonding_period_ns, height, ZERO_HEIGHT, proof_specs)
    return client_state_from_wire(client_state_to_wire(client))
