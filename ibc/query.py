"""What relayers ask a chain about its clients and packets.  Pure reads; nothing of the answers is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ibc.client_state import pack_client_state, pack_consensus_state
from ibc.clients import ClientStatus, client_status
from ibc.errors import ConsensusStateNotFound
from ibc.heights import find_height_below
from ibc.host import BULK
from ibc.identifiers import ZERO_HEIGHT, Height, height_from_wire, height_to_wire
from ibc.keys import pending_packets_prefix
from ibc.state import (
    get_acknowledgement,
    get_commitment,
    get_consensus_state,
    get_counterparty,
    has_receipt,
    list_client_ids,
    require_client,
    require_consensus_state,
)
from tx.codec import encode
from wire.gradchain.ibc.v1 import query_pb2

if TYPE_CHECKING:
    from ibc.host import HostReader

MAX_PENDING: Final = 1_000
"""Most packets in one answer."""

_STATUS: Final = {
    ClientStatus.ACTIVE: query_pb2.CLIENT_STATUS_ACTIVE,
    ClientStatus.EXPIRED: query_pb2.CLIENT_STATUS_EXPIRED,
    ClientStatus.FROZEN: query_pb2.CLIENT_STATUS_FROZEN,
}


def get_client(
    state: HostReader, request: query_pb2.GetClientRequest, now_ns: int
) -> query_pb2.GetClientResponse:
    """Return a client.

    Raises:
      ClientNotFound: there is none of that id.

    """
    return query_pb2.GetClientResponse(client=_describe_client(state, request.client_id, now_ns))


def list_clients(state: HostReader, now_ns: int) -> query_pb2.ListClientsResponse:
    """Return all clients, in the order of their creation."""
    clients = [_describe_client(state, client_id, now_ns) for client_id in list_client_ids(state)]
    return query_pb2.ListClientsResponse(clients=clients)


def _describe_client(state: HostReader, client_id: str, now_ns: int) -> query_pb2.Client:
    client = require_client(state, client_id)
    latest = get_consensus_state(state, client_id, client.latest_height)
    counterparty = get_counterparty(state, client_id)
    return query_pb2.Client(
        client_id=client_id,
        client_state=pack_client_state(client),
        counterparty_client_id="" if counterparty is None else counterparty.client_id,
        status=_STATUS[client_status(state, client_id, client, now_ns)],
        latest_time_ns=0 if latest is None else latest.time_ns,
    )


def get_consensus(
    state: HostReader, request: query_pb2.GetConsensusStateRequest
) -> query_pb2.GetConsensusStateResponse:
    """Return what a client knows of a height, of the newest one where none is given, or of the next one below.

    Raises:
      ClientNotFound: there is no client of that id.
      ConsensusStateNotFound: it does not know the height.

    """
    client = require_client(state, request.client_id)
    asked = height_from_wire(request.height)
    height: Height = client.latest_height if asked == ZERO_HEIGHT else asked
    if request.below:
        height = _require_height_below(state, request.client_id, height)
    known = require_consensus_state(state, request.client_id, height)
    return query_pb2.GetConsensusStateResponse(
        consensus_state=pack_consensus_state(known), height=height_to_wire(height)
    )


def _require_height_below(state: HostReader, client_id: str, height: Height) -> Height:
    known = find_height_below(state, client_id, height.height)
    if known is None:
        raise ConsensusStateNotFound(f"expected {client_id} to know a height below {height}, got none")
    return Height(height.revision, known)


def list_pending_packets(
    state: HostReader, request: query_pb2.ListPendingPacketsRequest
) -> query_pb2.ListPendingPacketsResponse:
    """Return packets that were sent and neither acknowledged nor timed out, from a sequence on, in order."""
    limit = min(request.limit or MAX_PENDING, MAX_PENDING)
    prefix = pending_packets_prefix(request.client_id)
    packets: list[query_pb2.PendingPacket] = []
    for key, value in state.scan(BULK, prefix):
        if len(packets) == limit:
            break
        if int.from_bytes(key[len(prefix) :], "big") >= request.start:
            packets.append(query_pb2.PendingPacket.FromString(value))
    return query_pb2.ListPendingPacketsResponse(packets=packets)


def get_packet_status(
    state: HostReader, request: query_pb2.GetPacketStatusRequest
) -> query_pb2.GetPacketStatusResponse:
    """Return what this chain knows of a sequence of a client, as the packet's sender and as its receiver."""
    client_id, sequence = request.client_id, request.sequence
    ack = get_acknowledgement(state, client_id, sequence)
    return query_pb2.GetPacketStatusResponse(
        committed=get_commitment(state, client_id, sequence) is not None,
        received=has_receipt(state, client_id, sequence),
        acknowledgement=b"" if ack is None else encode(ack),
    )
