"""What a hub node answers over gRPC."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING

import grpc
import pytest

from abci_app.grpc_errors import error_of
from hub.errors import RoundNotFound
from hub.models.query import MAX_CHUNKS
from hub.rounds.query import read_round
from hub.service import HubServicer
from hub.tasks.query import MAX_TASKS
from hub.tasks.state import require_task
from tests.support.hub import CREATOR, RELAYER, SUPPLY, HubChain, make_spec, participant_key, start_training
from wire.gradchain.hub.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[[query_pb2_grpc.HubServiceStub], object]


class Node:
    """A hub in its second round whose service is served on a free port of this machine."""

    def __init__(self) -> None:
        self.chain, self.task = start_training(2, 4, params={"relay_fee": 1})
        self.chain.run_round(self.task)
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        query_pb2_grpc.add_HubServiceServicer_to_server(HubServicer(lambda: self.chain.state), self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = query_pb2_grpc.HubServiceStub(self.channel)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.channel.close()
    node.server.stop(None).wait()


def test_an_account_is_shown_with_what_it_has_earned(node: Node) -> None:
    answer = node.stub.GetAccount(query_pb2.GetAccountRequest(account=participant_key(0).public_key))
    assert (answer.balance, answer.earned) == (124, 124)
    answer = node.stub.GetAccount(query_pb2.GetAccountRequest(account=RELAYER.public_key))
    assert (answer.balance, answer.earned) == (1_004, 4)


def test_a_task_is_shown(node: Node) -> None:
    task = node.stub.GetTask(query_pb2.GetTaskRequest(task=node.task)).task
    assert (task.task, task.creator, task.status) == (
        1,
        CREATOR.public_key,
        query_pb2.TASK_STATUS_TRAINING,
    )
    assert (task.round, task.attempt, task.rounds_done, task.participants) == (2, 0, 1, 4)
    assert (task.escrow, task.chunks_uploaded) == (500, 1)
    assert task.model_root == require_task(node.chain.state, node.task).model.root


def test_tasks_are_listed(node: Node) -> None:
    answer = node.stub.ListTasks(query_pb2.ListTasksRequest(limit=10 * MAX_TASKS))
    assert [task.task for task in answer.tasks] == [1]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [((0, 0), (2, 0)), ((1, 0), (1, 0)), ((1, 7), (1, 0)), ((2, 0), (2, 0)), ((0, 3), (2, 0))],
)
def test_a_round_is_found_by_number_or_as_the_newest(
    node: Node, asked: tuple[int, int], shown: tuple[int, int]
) -> None:
    request = query_pb2.GetRoundRequest(task=1, round=asked[0], attempt=asked[1])
    info = node.stub.GetRound(request).round.info
    assert (info.round, info.attempt) == shown


def test_a_settled_round_is_shown_with_result_and_pay(node: Node) -> None:
    shown = node.stub.GetRound(query_pb2.GetRoundRequest(task=1, round=1)).round
    assert (shown.status, shown.paid, shown.relay_paid) == (query_pb2.ROUND_STATUS_SETTLED, 496, 4)
    assert shown.result.model_root == require_task(node.chain.state, 1).model.root
    assert len(shown.settlement_root) == 32
    assert [entry.updates for entry in shown.shards] == [2, 2]


def test_an_open_round_has_no_result(node: Node) -> None:
    shown = node.stub.GetRound(query_pb2.GetRoundRequest(task=1)).round
    assert shown.status == query_pb2.ROUND_STATUS_OPEN
    assert not shown.HasField("result")
    assert shown.settlement_root == b""


def test_participants_are_listed(node: Node) -> None:
    answer = node.stub.ListParticipants(query_pb2.ListParticipantsRequest(task=1))
    assert len(answer.participants) == 4


def test_an_assignment_is_shown(node: Node) -> None:
    participant = participant_key(2).public_key
    request = query_pb2.GetAssignmentRequest(task=1, round=1, participant=participant)
    answer = node.stub.GetAssignment(request)
    assert answer.info.round == 1
    assert answer.shard in {"shard-1", "shard-2"}
    assert answer.proof.count == 2


def test_a_model_is_served(node: Node) -> None:
    root = node.stub.GetTask(query_pb2.GetTaskRequest(task=1)).task.model_root
    request = query_pb2.GetModelChunksRequest(model_root=root, limit=10 * MAX_CHUNKS)
    answer = node.stub.GetModelChunks(request)
    assert (answer.total_chunks, len(answer.parts[0].data)) == (1, 200)


def test_a_settlement_is_shown(node: Node) -> None:
    answer = node.stub.GetSettlement(query_pb2.GetSettlementRequest(task=1, round=1))
    assert [leaf.amount for leaf in answer.leaves] == [124] * 4 + [4]


def test_pay_for_deliveries_is_shown(node: Node) -> None:
    answer = node.stub.GetRelayPay(query_pb2.GetRelayPayRequest(account=RELAYER.public_key, start_task=1))
    assert (answer.packets, answer.amount) == (4, 4)
    assert [(entry.task, entry.round, entry.packets, entry.amount) for entry in answer.rounds] == [
        (1, 1, 4, 4)
    ]
    later = query_pb2.GetRelayPayRequest(account=RELAYER.public_key, start_task=1, start_round=2)
    assert list(node.stub.GetRelayPay(later).rounds) == []


def test_shards_are_listed(node: Node) -> None:
    answer = node.stub.ListShards(query_pb2.ListShardsRequest())
    assert [(shard.chain_id, shard.client_id, shard.active) for shard in answer.shards] == [
        ("shard-1", "07-tendermint-0", True),
        ("shard-2", "07-tendermint-1", True),
    ]


def test_a_checkpoint_is_shown(node: Node) -> None:
    request = query_pb2.GetCheckpointRequest(task=1, round=1, shard="shard-1")
    answer = node.stub.GetCheckpoint(request)
    assert answer.state.status == query_pb2.SHARD_ROUND_STATUS_COMPLETE
    assert list(answer.missing) == []


def test_the_supply_is_shown(node: Node) -> None:
    answer = node.stub.GetSupply(query_pb2.GetSupplyRequest())
    assert (answer.balances, answer.escrowed, answer.supply) == (SUPPLY - 500, 500, SUPPLY)


REFUSALS: list[tuple[str, Call, str, int]] = [
    (
        "account",
        lambda stub: stub.GetAccount(query_pb2.GetAccountRequest(account=b"x")),
        "INVALID_ARGUMENT",
        1,
    ),
    (
        "relayer",
        lambda stub: stub.GetRelayPay(query_pb2.GetRelayPayRequest(account=b"x")),
        "INVALID_ARGUMENT",
        1,
    ),
    ("task", lambda stub: stub.GetTask(query_pb2.GetTaskRequest(task=9)), "NOT_FOUND", 20),
    ("round", lambda stub: stub.GetRound(query_pb2.GetRoundRequest(task=1, round=9)), "NOT_FOUND", 80),
    (
        "round of no task",
        lambda stub: stub.GetRound(query_pb2.GetRoundRequest(task=2**64 - 1)),
        "NOT_FOUND",
        20,
    ),
    (
        "participants",
        lambda stub: stub.ListParticipants(query_pb2.ListParticipantsRequest(task=9)),
        "NOT_FOUND",
        20,
    ),
    (
        "assignment",
        lambda stub: stub.GetAssignment(
            query_pb2.GetAssignmentRequest(task=1, participant=RELAYER.public_key)
        ),
        "NOT_FOUND",
        91,
    ),
    (
        "model",
        lambda stub: stub.GetModelChunks(query_pb2.GetModelChunksRequest(model_root=b"r" * 32)),
        "NOT_FOUND",
        40,
    ),
    (
        "settlement",
        lambda stub: stub.GetSettlement(query_pb2.GetSettlementRequest(task=1, round=2)),
        "NOT_FOUND",
        120,
    ),
    (
        "checkpoint",
        lambda stub: stub.GetCheckpoint(query_pb2.GetCheckpointRequest(task=1, round=1, shard="other")),
        "NOT_FOUND",
        80,
    ),
    (
        "long name of a shard",
        lambda stub: stub.GetCheckpoint(query_pb2.GetCheckpointRequest(task=1, shard="s" * 300)),
        "INVALID_ARGUMENT",
        1,
    ),
]


@pytest.mark.parametrize(
    ("call", "status", "code"), [item[1:] for item in REFUSALS], ids=[item[0] for item in REFUSALS]
)
def test_a_question_that_cannot_be_answered_ends_with_its_code(
    node: Node, call: Call, status: str, code: int
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(node.stub)
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code().name == status
    found = error_of(refused.value)
    assert found is not None
    assert found[:2] == ("hub", code)


def test_a_task_before_its_first_round_has_none_to_show() -> None:
    chain = HubChain().start()
    chain.create_task(make_spec())
    with pytest.raises(RoundNotFound):
        read_round(chain.state, 1, 0, 0)
