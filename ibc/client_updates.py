"""What a chain's light client is shown: headers, which it learns from, and evidence, which freezes it.

Source: ibc-go `02-client/keeper/client.go`, `07-tendermint/{update,misbehaviour_handle}.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ibc.client_state import HEADER_URL, MISBEHAVIOUR_URL, ClientState, check_type_url
from ibc.clients import require_active_client
from ibc.errors import MalformedHeader
from ibc.events import emit_misbehaviour, emit_update_client
from ibc.heights import find_height_above, find_height_below, oldest_height
from ibc.identifiers import Height, height_from_wire
from ibc.results import RelayResult
from ibc.state import (
    delete_consensus_state,
    get_consensus_state,
    put_client,
    put_consensus_state,
    require_consensus_state,
)
from ibc.tendermint import TrustedState, Verified, check_misbehaviour, is_expired, verify_update
from ibc.times import time_from_wire
from tx.codec import decode_canonical
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from ibc.host import HostContext, HostReader, HostState
    from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

ClientMessage: TypeAlias = tendermint_pb2.Header | tendermint_pb2.Misbehaviour
"""What a client can be shown."""


def decode_client_message(msg: client_tx_pb2.MsgUpdateClient) -> ClientMessage:
    """Return what a client is shown: a header, or evidence against its chain.

    Raises:
      UnsupportedClientMessage: it is something else.
      TxError: it is not canonically encoded.
      MalformedHeader: there is no header in a header's message.

    """
    if msg.client_message.type_url == MISBEHAVIOUR_URL:
        return decode_canonical(tendermint_pb2.Misbehaviour, msg.client_message.value)
    check_type_url(msg.client_message, HEADER_URL)
    header = decode_canonical(tendermint_pb2.Header, msg.client_message.value)
    if not header.signed_header.HasField("header"):
        raise MalformedHeader("expected a header, got none")
    return header


def claimed_state(header: tendermint_pb2.Header) -> TrustedState:
    """Return what a header says, verified or not.

    Raises:
      MalformedTime: its time is out of range.

    """
    inner = header.signed_header.header
    return TrustedState(inner.height, time_from_wire(inner.time), inner.app_hash, inner.next_validators_hash)


def contradicts(state: HostReader, client_id: str, client: ClientState, claimed: TrustedState) -> bool:
    """Whether a header, if it verifies, proves that the other chain contradicts itself.

    That is so when the client knows something else of the height, or when times do not rise with heights.
    """
    if claimed.height < 1:
        return False
    known = get_consensus_state(state, client_id, Height(client.revision, claimed.height))
    if known is not None:
        return known != claimed
    latest = client.latest_height.height
    below = find_height_below(state, client_id, claimed.height) if claimed.height <= latest else latest
    above = find_height_above(state, client_id, claimed.height, latest)
    times = [
        None if height is None else require_consensus_state(state, client_id, Height(client.revision, height))
        for height in (below, above)
    ]
    before, after = times
    return (before is not None and before.time_ns >= claimed.time_ns) or (
        after is not None and after.time_ns <= claimed.time_ns
    )


def is_duplicate(state: HostReader, client_id: str, client: ClientState, claimed: TrustedState) -> bool:
    """Whether the client knows exactly this of the height already."""
    return get_consensus_state(state, client_id, Height(client.revision, claimed.height)) == claimed


def handle_update_client(
    ctx: HostContext, state: HostState, msg: client_tx_pb2.MsgUpdateClient
) -> RelayResult:
    """Show a client a header, or evidence that its chain has contradicted itself.  Anyone may.

    A header that says what is known already changes nothing.  One that verifies and contradicts what is known
    freezes the client, as evidence does that holds; nothing that is known is ever overwritten.

    Raises:
      ClientNotFound, ClientNotActive: the client can be shown nothing.
      ConsensusStateNotFound: it does not know the height that a header starts from.
      TrustNotReached: headers in between are needed.
      IbcError: a header is invalid, or the evidence does not hold.

    """
    client = require_active_client(state, msg.client_id, ctx.time_ns)
    shown = decode_client_message(msg)
    if isinstance(shown, tendermint_pb2.Misbehaviour):
        _check_evidence(ctx, state, msg.client_id, client, shown)
        _freeze(ctx, state, msg.client_id, client)
        return RelayResult.SUCCESS
    return _learn(ctx, state, msg.client_id, client, shown)


def _learn(
    ctx: HostContext, state: HostState, client_id: str, client: ClientState, header: tendermint_pb2.Header
) -> RelayResult:
    """Take in a header."""
    if is_duplicate(state, client_id, client, claimed_state(header)):
        return RelayResult.NOOP
    trusted = _require_start(state, client_id, header)
    verdict = verify_update(trusted, header, client.trust, ctx.time_ns, ctx.services.verified)
    if not isinstance(verdict, Verified):
        raise verdict.error
    if contradicts(state, client_id, client, verdict.state):
        _freeze(ctx, state, client_id, client)
        return RelayResult.SUCCESS
    _prune_oldest(ctx, state, client_id, client)
    put_client(state, client_id, client.advance(verdict.state.height))
    put_consensus_state(state, client_id, client.revision, verdict.state, ctx.time_ns, ctx.height)
    emit_update_client(ctx, client_id, Height(client.revision, verdict.state.height))
    return RelayResult.SUCCESS


def _require_start(state: HostReader, client_id: str, header: tendermint_pb2.Header) -> TrustedState:
    """Return what the client knows of the height that a header starts from."""
    return require_consensus_state(state, client_id, height_from_wire(header.trusted_height))


def _check_evidence(
    ctx: HostContext,
    state: HostReader,
    client_id: str,
    client: ClientState,
    misbehaviour: tendermint_pb2.Misbehaviour,
) -> None:
    """Check that the evidence holds by what the client knows of the heights that its headers start from."""
    one, other = (
        _require_start(state, client_id, header) for header in (misbehaviour.header_1, misbehaviour.header_2)
    )
    check_misbehaviour(one, other, misbehaviour, client.trust, ctx.time_ns, ctx.services.verified)


def _freeze(ctx: HostContext, state: HostState, client_id: str, client: ClientState) -> None:
    """Believe nothing that is shown to the client any more, until the authority recovers it."""
    put_client(state, client_id, client.freeze())
    emit_misbehaviour(ctx, client_id)


def _prune_oldest(ctx: HostContext, state: HostState, client_id: str, client: ClientState) -> None:
    """Forget the oldest height if it has expired: one an update, so that no update costs much."""
    oldest = oldest_height(state, client_id)
    if oldest is None:
        return
    height = Height(client.revision, oldest)
    known = require_consensus_state(state, client_id, height)
    if is_expired(known.time_ns, client.trust.trusting_period_ns, ctx.time_ns):
        delete_consensus_state(state, client_id, height)
