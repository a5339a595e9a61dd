"""`gradchain.ibc.v1.IbcService`: what relayers ask, the same on every chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from abci_app.errors import StateNotKept
from abci_app.grpc_errors import abort
from ibc import query
from ibc.errors import IbcError
from wire.gradchain.ibc.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.store import Snapshot


class IbcService(query_pb2_grpc.IbcServiceServicer):
    """Answers from the last committed block.  Expiry is judged by that block's time, as the chain itself would."""

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest

    def GetClient(  # noqa: N802 - gRPC names
        self, request: query_pb2.GetClientRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetClientResponse:
        """Return a client."""
        snapshot = self._latest()
        try:
            return query.get_client(snapshot, request, snapshot.time_ns)
        except IbcError as error:
            abort(context, error, grpc.StatusCode.NOT_FOUND)

    def ListClients(  # noqa: N802
        self,
        request: query_pb2.ListClientsRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> query_pb2.ListClientsResponse:
        """Return all clients."""
        snapshot = self._latest()
        return query.list_clients(snapshot, snapshot.time_ns)

    def GetConsensusState(  # noqa: N802
        self, request: query_pb2.GetConsensusStateRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetConsensusStateResponse:
        """Return what a client knows of a height."""
        try:
            return query.get_consensus(self._latest(), request)
        except IbcError as error:
            abort(context, error, grpc.StatusCode.NOT_FOUND)

    def ListPendingPackets(  # noqa: N802
        self,
        request: query_pb2.ListPendingPacketsRequest,
        context: grpc.ServicerContext,
    ) -> query_pb2.ListPendingPacketsResponse:
        """Return packets that are still open."""
        return query.list_pending_packets(self._require_height(request.least_height, context), request)

    def GetPacketStatus(  # noqa: N802
        self,
        request: query_pb2.GetPacketStatusRequest,
        context: grpc.ServicerContext,
    ) -> query_pb2.GetPacketStatusResponse:
        """Return what the chain knows of a packet."""
        return query.get_packet_status(self._require_height(request.least_height, context), request)

    def ListPacketStatuses(  # noqa: N802
        self,
        request: query_pb2.ListPacketStatusesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> query_pb2.ListPacketStatusesResponse:
        """Return what the chain knows of several packets."""
        return query.list_packet_statuses(self._latest(), request)

    def _require_height(self, least: int, context: grpc.ServicerContext) -> Snapshot:
        """Return the last state; end the call if it is older than the asker needs it to be."""
        snapshot = self._latest()
        if snapshot.height < least:
            abort(
                context, StateNotKept(f"expected the state of height {least} or later, got {snapshot.height}")
            )
        return snapshot
