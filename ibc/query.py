"""What relayers ask a chain about its clients and packets.  Pure reads; nothing of the answers is proven."""

from __future__ import annotations

from itertools import islice
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
    last_sequence,
    list_client_ids,
    require_client,
    require_consensus_state,
)
from tx.codec import encode
from wire.gradchain.ibc.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    last = last_sequence(state, request.client_id)
    pairs = _scan_from(state, pending_packets_prefix(request.client_id), request.start, last)
    packets = [query_pb2.PendingPacket.FromString(value) for _, value in islice(pairs, limit)]
    return query_pb2.ListPendingPacketsResponse(packets=packets)


def _scan_from(state: HostReader, prefix: bytes, start: int, last: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield what stands under the prefix and the BE64 of a number from `start` to `last`, in order.

    A store can be read by prefix only, and reading all of a long list for each page of it would take the square of
    its length.  So the range is cut where bytes of the numbers change: the rest of 256 that `start` is in, then the
    whole blocks of 256 above it, then those of 65,536, and so on.
    """
    for key, value in state.scan(BULK, prefix + (start >> 8).to_bytes(7, "big")):
        if key[-1] >= start & 0xFF:
            yield key, value
    for shift in range(8, 64, 8):
        first = (start >> shift) + 1
        beyond = min(((start >> (shift + 8)) + 1) << 8, (last >> shift) + 1)
        for block in range(first, beyond):
            yield from state.scan(BULK, prefix + block.to_bytes(8 - shift // 8, "big"))


def list_packet_statuses(
    state: HostReader, request: query_pb2.ListPacketStatusesRequest
) -> query_pb2.ListPacketStatusesResponse:
    """Return what this chain knows of several sequences of a client, in the order asked for."""
    asked = request.sequences[:MAX_PENDING]
    return query_pb2.ListPacketStatusesResponse(
        statuses=[_packet_status(state, request.client_id, sequence) for sequence in asked]
    )


def get_packet_status(
    state: HostReader, request: query_pb2.GetPacketStatusRequest
) -> query_pb2.GetPacketStatusResponse:
    """Return what this chain knows of a sequence of a client, as the packet's sender and as its receiver."""
    return _packet_status(state, request.client_id, request.sequence)


def _packet_status(state: HostReader, client_id: str, sequence: int) -> query_pb2.GetPacketStatusResponse:
    ack = get_acknowledgement(state, client_id, sequence)
    return query_pb2.GetPacketStatusResponse(
        committed=get_commitment(state, client_id, sequence) is not None,
        received=has_receipt(state, client_id, sequence),
        acknowledgement=b"" if ack is None else encode(ack),
    )
