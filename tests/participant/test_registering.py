"""Registering with a hub whose node refuses the transaction at first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from abci_app.client import ChainConnection
from abci_app.errors import CommitTimeout
from abci_app.grpc_errors import CANNOT_NOW, RemoteError, abort
from hub.errors import AlreadyRegistered, TaskClosed
from participant.sdk import Participant
from tests.support.grpc_serving import serving
from tx.keys import SigningKey
from wire.gradchain.hub.v1 import query_pb2, query_pb2_grpc
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.gradchain.node.v1 import query_pb2_grpc as node_grpc

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from aggregation.kzg import Setup
    from participant.verified import VerifiedHub
    from tx.errors import AppError

KEY = SigningKey.from_seed(bytes(32))


@dataclass
class Hub(query_pb2_grpc.HubServiceServicer, node_grpc.NodeServiceServicer):
    """Refuses the first registration that comes, and takes it when it comes again."""

    refusal: AppError
    executes_refused: bool = False
    """A block executes the refused transaction all the same."""
    asked: int = 0
    registered: bool = False

    def ListParticipants(  # noqa: N802  # the service names it
        self, request: query_pb2.ListParticipantsRequest, context: grpc.ServicerContext
    ) -> query_pb2.ListParticipantsResponse:
        del request, context
        return query_pb2.ListParticipantsResponse(participants=[KEY.public_key] if self.registered else [])

    def BroadcastTx(  # noqa: N802  # the service names it
        self, request: node_query.BroadcastTxRequest, context: grpc.ServicerContext
    ) -> node_query.BroadcastTxResponse:
        del request
        self.asked += 1
        self.registered = self.executes_refused or self.asked > 1
        if self.asked == 1:
            abort(context, self.refusal, grpc.StatusCode.UNAVAILABLE)
        return node_query.BroadcastTxResponse()

    def served(self) -> AbstractContextManager[str]:
        return serving(
            {
                "gradchain.hub.v1.HubService": partial(query_pb2_grpc.add_HubServiceServicer_to_server, self),
                "gradchain.node.v1.NodeService": partial(node_grpc.add_NodeServiceServicer_to_server, self),
            }
        )


def register(state: Path, refusal: AppError, *, executes_refused: bool = False) -> Hub:
    """Register with a hub that refuses at first; return the hub."""
    hub = Hub(refusal, executes_refused)  # type: ignore[abstract]  # it answers the calls that registering makes
    with hub.served() as address:
        connection = ChainConnection([address])
        verified = SimpleNamespace(
            chain_id="hub-1",
            connection=connection,
            task_spec=lambda task: SimpleNamespace(task=task, parameters=3),
        )
        participant = Participant(
            KEY,
            hub=cast("VerifiedHub", verified),
            shards={},
            task=1,
            state=state,
            setup=cast("Setup", None),
        )
        try:
            participant.register()
        finally:
            connection.close()
    return hub


@pytest.mark.parametrize("error", CANNOT_NOW)
def test_a_registration_that_a_node_cannot_take_now_is_sent_again(
    error: type[AppError], tmp_path: Path
) -> None:
    hub = register(tmp_path, error("a while"))
    assert hub.registered
    assert hub.asked == 2


def test_a_registration_that_a_block_held_late_is_not_sent_again(tmp_path: Path) -> None:
    assert register(tmp_path, CommitTimeout("a while"), executes_refused=True).asked == 1


def test_a_registration_that_another_run_sent_before_counts(tmp_path: Path) -> None:
    assert register(tmp_path, AlreadyRegistered("registered")).asked == 1


def test_a_registration_that_is_refused_for_good_is_not_sent_again(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="closed"):
        register(tmp_path, TaskClosed("closed"))
