"""The parts of a hub's and a shard's gRPC services that relayers use, over the played apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import Message

from abci_app.grpc_errors import abort
from abci_app.state import BULK
from aggregation.merkle import merkle_paths
from bench.played.app import ToyError, checkpoint_key, cut_parts, part_key
from relayer.bodywork import count_parts
from tx.codec import encode
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.state import StateReader
    from bench.played.app import ToyChain

Methods = dict[str, "grpc.RpcMethodHandler[Any, Any]"]
Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)


def _handler(
    method: Callable[[Request, grpc.ServicerContext], Answer], request_class: type[Request]
) -> grpc.RpcMethodHandler[Request, Answer]:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request_class.FromString, response_serializer=encode
    )


class ToyHubService:
    """The part of the hub's service that relayers use."""

    NAME = "gradchain.hub.v1.HubService"

    def __init__(self, latest: Callable[[], StateReader], chain: ToyChain) -> None:
        self._latest = latest
        self._chain = chain

    def add_to(self, server: grpc.Server) -> None:
        """Let a server serve it."""
        methods: Methods = {
            "ListShards": _handler(self.list_shards, hub_query.ListShardsRequest),
            "ListTasks": _handler(self.list_tasks, hub_query.ListTasksRequest),
            "GetCheckpoint": _handler(self.get_checkpoint, hub_query.GetCheckpointRequest),
            "GetAccount": _handler(self.get_account, hub_query.GetAccountRequest),
            "GetRelayPay": _handler(self.get_relay_pay, hub_query.GetRelayPayRequest),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self.NAME, methods),))

    def get_account(
        self, request: hub_query.GetAccountRequest, context: grpc.ServicerContext
    ) -> hub_query.GetAccountResponse:
        """Return what an account holds."""
        return hub_query.GetAccountResponse(balance=self._chain.balances.get(request.account, 0))

    def get_relay_pay(
        self, request: hub_query.GetRelayPayRequest, context: grpc.ServicerContext
    ) -> hub_query.GetRelayPayResponse:
        """Return what a relayer was paid: always the same."""
        return hub_query.GetRelayPayResponse(packets=2, amount=7)

    def list_shards(
        self, request: hub_query.ListShardsRequest, context: grpc.ServicerContext
    ) -> hub_query.ListShardsResponse:
        """Return the admitted shards."""
        pairs = self._latest().scan(BULK, b"shard/")
        shards = [
            hub_query.Shard(chain_id=key[6:].decode(), client_id=value.decode(), active=True)
            for key, value in pairs
        ]
        return hub_query.ListShardsResponse(shards=shards)

    def list_tasks(
        self, request: hub_query.ListTasksRequest, context: grpc.ServicerContext
    ) -> hub_query.ListTasksResponse:
        """Return no tasks."""
        return hub_query.ListTasksResponse()

    def get_checkpoint(
        self, request: hub_query.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> hub_query.GetCheckpointResponse:
        """Return which parts of a body are missing."""
        state = self._latest()
        data = state.get(BULK, checkpoint_key(request.task, request.round, request.attempt))
        if data is None:
            waiting = hub_query.ShardRound(status=hub_query.SHARD_ROUND_STATUS_WAITING)
            return hub_query.GetCheckpointResponse(state=waiting)
        count = count_parts(fl_pb2.Checkpoint.FromString(data).body_bytes)
        missing = [
            index
            for index in range(count)
            if state.get(BULK, part_key(request.task, request.round, request.attempt, index)) is None
        ]
        status = (
            hub_query.SHARD_ROUND_STATUS_CHECKPOINTED if missing else hub_query.SHARD_ROUND_STATUS_COMPLETE
        )
        return hub_query.GetCheckpointResponse(
            state=hub_query.ShardRound(shard=request.shard, status=status, parts=count), missing=missing
        )


class ToyShardService:
    """The part of a shard's service that relayers use."""

    NAME = "gradchain.shard.v1.ShardService"

    def __init__(self, chain: ToyChain) -> None:
        self._chain = chain

    def add_to(self, server: grpc.Server) -> None:
        """Let a server serve it."""
        methods: Methods = {"GetBodyParts": _handler(self.get_body_parts, shard_query.GetBodyPartsRequest)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self.NAME, methods),))

    def get_body_parts(
        self, request: shard_query.GetBodyPartsRequest, context: grpc.ServicerContext
    ) -> shard_query.GetBodyPartsResponse:
        """Return parts of a body with their proofs."""
        body = self._chain.bodies.get((request.task, request.round, request.attempt))
        if body is None:
            abort(context, ToyError("expected a known body"), grpc.StatusCode.NOT_FOUND)
        parts = cut_parts(body)
        paths = merkle_paths(parts)
        last = min(request.first + min(request.limit or 32, 32), len(parts))
        return shard_query.GetBodyPartsResponse(
            total_parts=len(parts),
            parts=[
                shard_query.BodyPart(index=index, data=parts[index], path=paths[index])
                for index in range(request.first, last)
            ],
        )
