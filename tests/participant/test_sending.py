"""Sending an update to a shard whose node refuses it at first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from abci_app.client import ChainConnection
from abci_app.errors import CommitTimeout, NothingNew, TxTooLarge
from abci_app.grpc_errors import CANNOT_NOW, abort
from cli.submit_update import status_of
from participant.errors import UpdateRefused
from participant.sdk import Participant
from shards.errors import UnknownRound
from shards.service import ShardServicer
from tests.support.grpc_serving import serving
from tx.keys import SigningKey
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.shard.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import grpc

    from abci_app.state import StateReader
    from aggregation.kzg import Setup
    from participant.updates import Assignment
    from participant.verified import VerifiedHub
    from tx.errors import AppError

SHARD = "shard-1"
HEIGHT = 9


@dataclass
class Refuser:
    """Refuses the first update that comes, and takes it when it comes again."""

    refusal: AppError
    asked: int = 0

    def submit(
        self, request: query_pb2.SubmitUpdateRequest, context: grpc.ServicerContext
    ) -> query_pb2.SubmitUpdateResponse:
        del request
        self.asked += 1
        if self.asked == 1:
            abort(context, self.refusal, status_of(self.refusal))
        return query_pb2.SubmitUpdateResponse(height=HEIGHT)

    def served(self) -> AbstractContextManager[str]:
        servicer = ShardServicer(lambda: cast("StateReader", None), self.submit)
        add = partial(query_pb2_grpc.add_ShardServiceServicer_to_server, servicer)
        return serving({"gradchain.shard.v1.ShardService": add})


def send(refuser: Refuser, state: Path, *, is_open: bool = True) -> int:
    """Send an update to the shard; return the height that is said to hold it."""
    hub = SimpleNamespace(
        chain_id="hub-1",
        task_spec=lambda task: SimpleNamespace(task=task, parameters=3),
        is_open=lambda *number: bool(number) and is_open,
    )
    info = SimpleNamespace(task=1, round=3, attempt=0)
    with refuser.served() as address:
        connection = ChainConnection([address])
        participant = Participant(
            SigningKey.from_seed(bytes(32)),
            hub=cast("VerifiedHub", hub),
            shards={SHARD: connection},
            task=1,
            state=state,
            setup=cast("Setup", None),
        )
        try:
            assignment = cast("Assignment", SimpleNamespace(info=info, shard=SHARD))
            return participant.send_update(assignment, update_pb2.Update()).height
        finally:
            connection.close()


@pytest.mark.parametrize("error", [*CANNOT_NOW, CommitTimeout, NothingNew, UnknownRound])
def test_an_update_that_a_node_cannot_take_now_is_sent_again(error: type[AppError], tmp_path: Path) -> None:
    refuser = Refuser(error("a while"))
    assert send(refuser, tmp_path) == HEIGHT
    assert refuser.asked == 2


def test_an_update_is_not_sent_again_once_its_round_is_over(tmp_path: Path) -> None:
    refuser = Refuser(CANNOT_NOW[0]("a while"))
    with pytest.raises(UpdateRefused, match="round 3 ended before the update arrived"):
        send(refuser, tmp_path, is_open=False)


def test_an_update_that_is_refused_for_good_is_not_sent_again(tmp_path: Path) -> None:
    refuser = Refuser(TxTooLarge("too large"))
    with pytest.raises(UpdateRefused, match="too large"):
        send(refuser, tmp_path)
    assert refuser.asked == 1
