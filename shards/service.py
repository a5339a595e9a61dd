"""The gRPC service of a shard node.  It reads the last committed block; updates go in through the node's gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from abci_app.grpc_errors import abort
from shards.checkpoints.query import list_body_parts
from shards.errors import InvalidQuery, UnknownBody, UnknownPayload, UnknownRound, UnknownUpdate
from shards.query import describe_round, describe_rounds
from shards.rounds.types import RoundId
from shards.updates.query import describe_update, read_payload
from tx.errors import AppError
from tx.keys import PUBLIC_KEY_BYTES
from tx.limits import HASH_BYTES
from wire.gradchain.shard.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from abci_app.state import StateReader

_NOT_FOUND: Final = (UnknownRound, UnknownUpdate, UnknownPayload, UnknownBody)


class ShardServicer(query_pb2_grpc.ShardServiceServicer):
    """Answers queries from committed state."""

    def __init__(
        self,
        latest: Callable[[], StateReader],
        submit: Callable[
            [query_pb2.SubmitUpdateRequest, grpc.ServicerContext], query_pb2.SubmitUpdateResponse
        ],
    ) -> None:
        self._latest = latest
        self._submit = submit

    def SubmitUpdate(  # noqa: N802 - the name is the protocol's
        self, request: query_pb2.SubmitUpdateRequest, context: grpc.ServicerContext
    ) -> query_pb2.SubmitUpdateResponse:
        """Hand an update to the chain."""
        return self._submit(request, context)

    def GetUpdate(  # noqa: N802
        self, request: query_pb2.GetUpdateRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetUpdateResponse:
        """Tell what became of a participant's update."""
        try:
            _check_size("participant", request.participant, PUBLIC_KEY_BYTES)
            return describe_update(self._latest(), _round_id(request), request.participant)
        except AppError as error:
            _abort(context, error)

    def GetRound(  # noqa: N802
        self, request: query_pb2.GetRoundRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetRoundResponse:
        """Tell how far a round has come."""
        try:
            return query_pb2.GetRoundResponse(round=describe_round(self._latest(), _round_id(request)))
        except AppError as error:
            _abort(context, error)

    def ListRounds(  # noqa: N802
        self, request: query_pb2.ListRoundsRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListRoundsResponse:
        """List the newest rounds of a task."""
        try:
            rounds = describe_rounds(self._latest(), request.task, request.limit)
            return query_pb2.ListRoundsResponse(rounds=rounds)
        except AppError as error:
            _abort(context, error)

    def GetPayload(  # noqa: N802
        self, request: query_pb2.GetPayloadRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetPayloadResponse:
        """Return the bytes of an update."""
        try:
            _check_size("payload_root", request.payload_root, HASH_BYTES)
            payload = read_payload(self._latest(), _round_id(request), request.payload_root)
            return query_pb2.GetPayloadResponse(payload=payload)
        except AppError as error:
            _abort(context, error)

    def GetBodyParts(  # noqa: N802
        self, request: query_pb2.GetBodyPartsRequest, context: grpc.ServicerContext
    ) -> query_pb2.GetBodyPartsResponse:
        """Return parts of a checkpoint's body, with their proofs."""
        try:
            return list_body_parts(self._latest(), _round_id(request), request.first, request.limit)
        except AppError as error:
            _abort(context, error)


def _round_id(
    request: query_pb2.GetUpdateRequest
    | query_pb2.GetRoundRequest
    | query_pb2.GetPayloadRequest
    | query_pb2.GetBodyPartsRequest,
) -> RoundId:
    return RoundId(request.task, request.round, request.attempt)


def _check_size(field: str, value: bytes, expected: int) -> None:
    if len(value) != expected:
        raise InvalidQuery(f"expected {expected} bytes in {field}, got {len(value)}")


def _abort(context: grpc.ServicerContext, error: AppError) -> NoReturn:
    """End a call with the status that fits the error."""
    status = grpc.StatusCode.FAILED_PRECONDITION
    if isinstance(error, _NOT_FOUND):
        status = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, InvalidQuery):
        status = grpc.StatusCode.INVALID_ARGUMENT
    abort(context, error, status)
