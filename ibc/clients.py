"""The light clients that a chain keeps: creating them, and verifying proofs with them.

How they learn is in `ibc.client_updates`, how they are brought back in `ibc.recovery`.

Source: ibc-go `02-client`.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from ibc.client_state import (
    CLIENT_STATE_URL,
    CONSENSUS_STATE_URL,
    ClientState,
    check_new_client,
    check_type_url,
    client_state_from_wire,
    consensus_state_from_wire,
)
from ibc.commitment import build_merkle_path, verify_chained_membership, verify_chained_non_membership
from ibc.errors import (
    ClientNotActive,
    ConsensusStateNotFound,
    CounterpartyExists,
    InvalidCounterparty,
    NotAuthority,
)
from ibc.events import (
    emit_create_client,
    emit_register_counterparty,
)
from ibc.identifiers import Height, check_client_id
from ibc.keys import be64
from ibc.state import (
    get_authority,
    get_consensus_state,
    get_counterparty,
    put_authority,
    put_client,
    put_consensus_state,
    put_counterparty,
    require_client,
    require_consensus_state,
    require_counterparty,
    take_client_id,
)
from ibc.tendermint import TrustedState, is_expired
from tx.codec import decode_canonical
from tx.domains import PACKET_PROOF_CHECK
from wire.ibc.core.client.v2 import counterparty_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from ibc.host import HostContext, HostReader, HostState
    from ibc.proof_spec import ProofSpec
    from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
    from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

MAX_PREFIX_ELEMENTS = 32
MAX_PREFIX_BYTES = 128


class ClientStatus(Enum):
    """Whether a client may be used."""

    ACTIVE = "active"
    EXPIRED = "expired"
    FROZEN = "frozen"


def init_genesis(state: HostState, authority: bytes) -> None:
    """Write the state of height 0: who may create clients, a 32-byte public key."""
    put_authority(state, authority)


def client_status(state: HostReader, client_id: str, client: ClientState, now_ns: int) -> ClientStatus:
    """Return whether a client may be used; frozen comes before expired."""
    if client.is_frozen:
        return ClientStatus.FROZEN
    latest = get_consensus_state(state, client_id, client.latest_height)
    if latest is None or is_expired(latest.time_ns, client.trust.trusting_period_ns, now_ns):
        return ClientStatus.EXPIRED
    return ClientStatus.ACTIVE


def require_active_client(state: HostReader, client_id: str, now_ns: int) -> ClientState:
    """Return a client that may be used.

    Raises:
      ClientNotFound: there is none of that id.
      ClientNotActive: it is expired or frozen.

    """
    client = require_client(state, client_id)
    status = client_status(state, client_id, client, now_ns)
    if status is not ClientStatus.ACTIVE:
        raise ClientNotActive(f"expected an active client, got {client_id}, which is {status.value}")
    return client


def check_authority(state: HostReader, signer: bytes) -> None:
    """Check that the authority of the genesis signed.

    Raises:
      NotAuthority: it was another account.

    """
    authority = get_authority(state)
    if signer != authority:
        expected = "no account at all" if authority is None else authority.hex()
        raise NotAuthority(f"expected the authority, {expected}, to sign, got {signer.hex()}")


def handle_create_client(
    ctx: HostContext, state: HostState, msg: client_tx_pb2.MsgCreateClient, *, signer: bytes
) -> str:
    """Create a light client and return its id.  Who creates it vouches for the state that it starts from.

    Raises:
      NotAuthority: another account than the authority signed.
      IbcError: a state is malformed or out of range.
      ClientNotActive: the state that it starts from has expired.

    """
    check_authority(state, signer)
    check_type_url(msg.client_state, CLIENT_STATE_URL)
    check_type_url(msg.consensus_state, CONSENSUS_STATE_URL)
    client = client_state_from_wire(decode_canonical(tendermint_pb2.ClientState, msg.client_state.value))
    known = consensus_state_from_wire(
        decode_canonical(tendermint_pb2.ConsensusState, msg.consensus_state.value),
        client.latest_height.height,
    )
    check_new_client(client, known)
    if is_expired(known.time_ns, client.trust.trusting_period_ns, ctx.time_ns):
        raise ClientNotActive(f"expected a state within the trusting period, got one of {known.time_ns}")
    client_id = take_client_id(state)
    put_client(state, client_id, client)
    put_consensus_state(state, client_id, client.revision, known, ctx.time_ns, ctx.height)
    emit_create_client(ctx, client_id, client.latest_height)
    return client_id


def handle_register_counterparty(
    ctx: HostContext, state: HostState, msg: client_v2_tx_pb2.MsgRegisterCounterparty, *, signer: bytes
) -> None:
    """Tie a client to the other chain's client of us, for good.

    Raises:
      NotAuthority: another account than the authority signed.
      ClientNotFound: there is no such client.
      CounterpartyExists: it is tied already.
      InvalidCounterparty: the prefix does not fit the client's trees.

    """
    check_authority(state, signer)
    client = require_client(state, msg.client_id)
    if get_counterparty(state, msg.client_id) is not None:
        raise CounterpartyExists(f"expected a client without counterparty, got {msg.client_id}")
    if len(msg.counterparty_merkle_prefix) != len(client.proof_specs):
        raise InvalidCounterparty(
            f"expected a prefix of {len(client.proof_specs)} elements, one for each tree of {msg.client_id}, "
            f"got {len(msg.counterparty_merkle_prefix)}"
        )
    counterparty = counterparty_pb2.CounterpartyInfo(
        merkle_prefix=msg.counterparty_merkle_prefix, client_id=msg.counterparty_client_id
    )
    put_counterparty(state, msg.client_id, counterparty)
    emit_register_counterparty(ctx, msg.client_id, msg.counterparty_client_id)


def check_register_counterparty(msg: client_v2_tx_pb2.MsgRegisterCounterparty) -> None:
    """Check what needs no state of a registration.

    Raises:
      InvalidIdentifier: a client id has the wrong form.
      InvalidCounterparty: the prefix is empty or too long.

    """
    check_client_id(msg.client_id)
    check_client_id(msg.counterparty_client_id)
    prefix = msg.counterparty_merkle_prefix
    if not 1 <= len(prefix) <= MAX_PREFIX_ELEMENTS or any(len(item) > MAX_PREFIX_BYTES for item in prefix):
        raise InvalidCounterparty(
            f"expected 1 to {MAX_PREFIX_ELEMENTS} prefix elements of at most {MAX_PREFIX_BYTES} bytes, "
            f"got {len(prefix)}"
        )


def _require_proof_base(
    ctx: HostContext, state: HostReader, client_id: str, height: Height
) -> tuple[ClientState, TrustedState]:
    client = require_active_client(state, client_id, ctx.time_ns)
    if height > client.latest_height:
        raise ConsensusStateNotFound(f"expected a proof height up to {client.latest_height}, got {height}")
    return client, require_consensus_state(state, client_id, height)


def verify_packet_membership(
    ctx: HostContext,
    state: HostReader,
    client_id: str,
    height: Height,
    proof: bytes,
    key: bytes,
    value: bytes,
) -> None:
    """Verify that the other chain has the value under an IBC key, once a node: CheckTx and the block ask the same.

    Raises:
      ClientNotActive, ConsensusStateNotFound: the client cannot tell.
      IbcError: the proof is malformed, breaks a rule, or is about something else.

    """
    client, known = _require_proof_base(ctx, state, client_id, height)
    prefix = require_counterparty(state, client_id).merkle_prefix
    path = build_merkle_path(list(prefix), key)
    digest = _digest_check(client.proof_specs, known.root, proof, path, value)
    if not ctx.services.verified.get(digest):
        verify_chained_membership(client.proof_specs, known.root, proof, path, value)
        ctx.services.verified.put(digest, verdict=True)


def _digest_check(
    specs: tuple[ProofSpec, ...], root: bytes, proof: bytes, path: tuple[bytes, ...], value: bytes
) -> bytes:
    """Return the digest of everything that the verdict on a proof of presence depends on, each behind its length."""
    parts = (_describe_specs(specs), root, value, proof, *path)
    return sha256(PACKET_PROOF_CHECK + b"".join(be64(len(part)) + part for part in parts)).digest()


@lru_cache(maxsize=16)
def _describe_specs(specs: tuple[ProofSpec, ...]) -> bytes:
    """Return bytes that no other specs have."""
    return repr(specs).encode()


def verify_packet_absence(
    ctx: HostContext, state: HostReader, client_id: str, height: Height, proof: bytes, key: bytes
) -> None:
    """Verify that the other chain has nothing under an IBC key.

    Raises:
      ClientNotActive, ConsensusStateNotFound: the client cannot tell.
      IbcError: the proof is malformed, breaks a rule, or is about something else.

    """
    client, known = _require_proof_base(ctx, state, client_id, height)
    prefix = require_counterparty(state, client_id).merkle_prefix
    path = build_merkle_path(list(prefix), key)
    verify_chained_non_membership(client.proof_specs, known.root, proof, path)
