"""The gRPC service of a hub node: every answer is read from the last committed block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import grpc

from abci_app.grpc_errors import abort
from hub.accounts.query import read_account, read_supply
from hub.errors import (
    InvalidField,
    NotAssigned,
    RoundNotFound,
    SettlementNotFound,
    TaskNotFound,
    UnknownChunk,
)
from hub.models.query import read_model_chunks
from hub.registry.query import read_shards
from hub.rounds.query import read_assignment, read_checkpoint, read_round
from hub.settlement.query import read_relay_pay, read_settlement
from hub.tasks.query import read_participants, read_task, read_tasks
from tx.errors import AppError
from wire.gradchain.hub.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from abci_app.state import StateReader

AnswerT = TypeVar("AnswerT")

_NOT_FOUND: Final = (NotAssigned, RoundNotFound, SettlementNotFound, TaskNotFound, UnknownChunk)


class HubServicer(query_pb2_grpc.HubServiceServicer):
    """Answers queries from committed state."""

    def __init__(self, latest: Callable[[], StateReader]) -> None:
        self._latest = latest

    def _answer(self, context: grpc.ServicerContext, read: Callable[[StateReader], AnswerT]) -> AnswerT:
        """Read from the newest snapshot; an expected failure ends the call with its code."""
        try:
            return read(self._latest())
        except AppError as error:
            status = grpc.StatusCode.FAILED_PRECONDITION
            if isinstance(error, _NOT_FOUND):
                status = grpc.StatusCode.NOT_FOUND
            elif isinstance(error, InvalidField):
                status = grpc.StatusCode.INVALID_ARGUMENT
            abort(context, error, status)

    def GetAccount(  # noqa: N802 - the name is the protocol's
        self, request: query_pb2.GetAccountRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetAccountResponse:
        """Return balance and earnings of an account."""
        return self._answer(
            context,
            lambda state: read_account(state, request.account),
        )

    def GetTask(  # noqa: N802
        self, request: query_pb2.GetTaskRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetTaskResponse:
        """Return a task."""
        return self._answer(
            context,
            lambda state: query_pb2.GetTaskResponse(task=read_task(state, request.task)),
        )

    def ListTasks(  # noqa: N802
        self, request: query_pb2.ListTasksRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListTasksResponse:
        """Return tasks by number."""
        return self._answer(
            context,
            lambda state: read_tasks(state, request.start, request.limit),
        )

    def GetRound(  # noqa: N802
        self, request: query_pb2.GetRoundRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetRoundResponse:
        """Return an attempt of a round."""
        return self._answer(
            context,
            lambda state: query_pb2.GetRoundResponse(
                round=read_round(state, request.task, request.round, request.attempt)
            ),
        )

    def ListParticipants(  # noqa: N802
        self, request: query_pb2.ListParticipantsRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListParticipantsResponse:
        """Return the registered participants of a task."""
        return self._answer(
            context,
            lambda state: read_participants(state, request.task),
        )

    def GetAssignment(  # noqa: N802
        self, request: query_pb2.GetAssignmentRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetAssignmentResponse:
        """Return the shard with which a participant trains in a round."""
        return self._answer(
            context,
            lambda state: read_assignment(state, request.task, request.round, request.participant),
        )

    def GetModelChunks(  # noqa: N802
        self, request: query_pb2.GetModelChunksRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetModelChunksResponse:
        """Return chunks of a model."""
        return self._answer(
            context,
            lambda state: read_model_chunks(state, request.model_root, request.first, request.limit),
        )

    def GetSettlement(  # noqa: N802
        self, request: query_pb2.GetSettlementRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetSettlementResponse:
        """Return who was paid what for a round."""
        return self._answer(
            context,
            lambda state: read_settlement(state, request.task, request.round),
        )

    def GetRelayPay(  # noqa: N802
        self, request: query_pb2.GetRelayPayRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetRelayPayResponse:
        """Return what an account was paid for its deliveries."""
        return self._answer(
            context,
            lambda state: read_relay_pay(
                state, request.account, request.start_task, request.start_round, request.limit
            ),
        )

    def ListShards(  # noqa: N802
        self,
        request: query_pb2.ListShardsRequest,  # noqa: ARG002
        context: grpc.ServicerContext,
    ) -> query_pb2.ListShardsResponse:
        """Return all shards."""
        return self._answer(
            context,
            read_shards,
        )

    def GetCheckpoint(  # noqa: N802
        self, request: query_pb2.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetCheckpointResponse:
        """Return where a shard stands in a round, and which parts of its body are missing."""
        return self._answer(
            context,
            lambda state: read_checkpoint(state, request.task, request.round, request.attempt, request.shard),
        )

    def GetSupply(  # noqa: N802
        self,
        request: query_pb2.GetSupplyRequest,  # noqa: ARG002
        context: grpc.ServicerContext,
    ) -> query_pb2.GetSupplyResponse:
        """Return where the tokens are."""
        return self._answer(
            context,
            read_supply,
        )
