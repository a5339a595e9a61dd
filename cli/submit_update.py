"""`SubmitUpdate` of a shard node: the gateway's bundling, made idempotent by a look at the state."""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import sha256
from typing import TYPE_CHECKING

import grpc

from abci_app.errors import CommitTimeout, NodeUnavailable, TooManyWaiting
from abci_app.grpc_errors import abort
from abci_app.node_service import remaining_s
from shards.errors import AlreadyAccepted, UnknownRound
from shards.rounds.types import RoundId
from shards.updates.query import describe_update
from tx.codec import decode_canonical
from tx.errors import AppError
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.shard.v1 import query_pb2

if TYPE_CHECKING:
    from abci_app.application import ChainApplication
    from abci_app.gateway import UpdateBundler


def status_of(error: AppError) -> grpc.StatusCode:
    """Return the gRPC status that tells a client whether another try makes sense."""
    if isinstance(error, NodeUnavailable | CommitTimeout):
        return grpc.StatusCode.UNAVAILABLE
    if isinstance(error, TooManyWaiting):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    if isinstance(error, UnknownRound):
        return grpc.StatusCode.NOT_FOUND
    return grpc.StatusCode.FAILED_PRECONDITION


class UpdateSubmitter:
    """Takes updates for the chain of this node."""

    def __init__(self, application: ChainApplication, bundler: UpdateBundler) -> None:
        self._application = application
        self._bundler = bundler

    def submit(
        self, request: query_pb2.SubmitUpdateRequest, context: grpc.ServicerContext
    ) -> query_pb2.SubmitUpdateResponse:
        """Submit an update.  The same statement again answers with the height that holds it."""
        update = request.update
        digest = sha256(update.signed.statement).digest()
        try:
            with self._application.waiting.hold_place() if request.wait else nullcontext():
                done = self._bundler.submit(update, wait=request.wait, timeout_s=remaining_s(context))
        except AlreadyAccepted:
            height = self._height_of(update)
            return query_pb2.SubmitUpdateResponse(statement_digest=digest, height=height)
        except AppError as error:
            abort(context, error, status_of(error))
        return query_pb2.SubmitUpdateResponse(
            statement_digest=digest, tx_hash=done.tx_hash, height=done.height
        )

    def _height_of(self, update: update_pb2.Update) -> int:
        statement = decode_canonical(update_pb2.UpdateStatement, update.signed.statement)
        round_id = RoundId(statement.task, statement.round, statement.attempt)
        return describe_update(self._application.store.latest(), round_id, statement.participant).height
