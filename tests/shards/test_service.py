"""What a shard node answers over gRPC."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING

import grpc
import pytest

from abci_app.grpc_errors import error_of
from aggregation.merkle import verify_merkle_path
from shards import errors
from shards.checkpoints.state import get_header
from shards.service import ShardServicer
from tests.support.shard_rounds import TestRound, build_round
from tests.support.shards import ShardChain
from tx.errors import AppError
from wire.gradchain.shard.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node:
    """A shard whose service is served on a free port of this machine."""

    def __init__(self) -> None:
        self.chain = ShardChain().start()
        self.submitted: list[query_pb2.SubmitUpdateRequest] = []
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        servicer = ShardServicer(lambda: self.chain.state, self.submit)
        query_pb2_grpc.add_ShardServiceServicer_to_server(servicer, self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = query_pb2_grpc.ShardServiceStub(self.channel)

    def submit(
        self, request: query_pb2.SubmitUpdateRequest, context: grpc.ServicerContext
    ) -> query_pb2.SubmitUpdateResponse:
        self.submitted.append(request)
        return query_pb2.SubmitUpdateResponse(height=7)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.channel.close()
    node.server.stop(None).wait()


def run_round(node: Node, parameters: int = 25) -> TestRound:
    item = build_round(2, parameters=parameters)
    node.chain.open(item)
    node.chain.submit(item.update(0), item.update(1))
    return item


def refusal(call: grpc.RpcError) -> tuple[grpc.StatusCode, str, int]:
    assert isinstance(call, grpc.Call)
    error = error_of(call)
    assert error is not None
    return call.code(), error[0], error[1]


def test_an_update_is_handed_to_the_gateway(node: Node) -> None:
    request = query_pb2.SubmitUpdateRequest(update=build_round().update(0), wait=True)
    assert node.stub.SubmitUpdate(request).height == 7
    assert node.submitted == [request]


def test_an_accepted_update_is_shown(node: Node) -> None:
    item = run_round(node)
    answer = node.stub.GetUpdate(
        query_pb2.GetUpdateRequest(task=1, round=1, attempt=1, participant=item.participants[0])
    )
    assert answer.accepted
    assert answer.signed == item.update(0).signed
    assert (answer.height, answer.payload_bytes) == (node.chain.height, 25)


def test_a_spent_slot_is_shown_as_not_accepted(node: Node) -> None:
    item = build_round(2)
    node.chain.open(item)
    node.chain.submit(item.miscounted(0))
    answer = node.stub.GetUpdate(
        query_pb2.GetUpdateRequest(task=1, round=1, attempt=1, participant=item.participants[0])
    )
    assert not answer.accepted
    assert answer.height == node.chain.height


def test_an_update_of_a_pruned_round_is_shown_without_its_statement(node: Node) -> None:
    item = run_round(node)
    node.chain.settle(item)
    answer = node.stub.GetUpdate(
        query_pb2.GetUpdateRequest(task=1, round=1, attempt=1, participant=item.participants[0])
    )
    assert answer.accepted
    assert not answer.HasField("signed")


def test_a_free_slot_is_not_found(node: Node) -> None:
    item = build_round()
    node.chain.open(item)
    request = query_pb2.GetUpdateRequest(task=1, round=1, attempt=1, participant=item.participants[0])
    with pytest.raises(grpc.RpcError) as caught:
        node.stub.GetUpdate(request)
    assert refusal(caught.value) == (grpc.StatusCode.NOT_FOUND, "shard", 61)


def test_a_participant_of_another_size_is_an_invalid_argument(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        node.stub.GetUpdate(query_pb2.GetUpdateRequest(participant=b"short"))
    assert refusal(caught.value) == (grpc.StatusCode.INVALID_ARGUMENT, "shard", 60)


def test_an_open_round_is_shown(node: Node) -> None:
    item = build_round()
    node.chain.open(item)
    node.chain.submit(item.update(0))
    answer = node.stub.GetRound(query_pb2.GetRoundRequest(task=1, round=1, attempt=1)).round
    assert answer.opened == item.opened
    assert answer.status == query_pb2.ROUND_STATUS_OPEN
    assert answer.updates == 1
    assert not answer.HasField("checkpoint")


def test_a_closed_round_is_shown_with_its_checkpoint(node: Node) -> None:
    item = run_round(node)
    answer = node.stub.GetRound(query_pb2.GetRoundRequest(task=1, round=1, attempt=1)).round
    assert answer.status == query_pb2.ROUND_STATUS_CHECKPOINTED
    assert answer.checkpoint == get_header(node.chain.state, item.round_id)
    assert answer.checkpoint_height == node.chain.height


def test_a_settled_round_is_shown_as_pruned(node: Node) -> None:
    node.chain.settle(run_round(node))
    answer = node.stub.GetRound(query_pb2.GetRoundRequest(task=1, round=1, attempt=1)).round
    assert answer.status == query_pb2.ROUND_STATUS_PRUNED
    assert answer.HasField("checkpoint")


def test_an_unknown_round_is_not_found(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        node.stub.GetRound(query_pb2.GetRoundRequest(task=1, round=1, attempt=1))
    assert refusal(caught.value) == (grpc.StatusCode.NOT_FOUND, "shard", 12)


def test_rounds_are_listed_newest_first_up_to_a_limit(node: Node) -> None:
    node.chain.open(*(build_round(number=number) for number in (1, 2, 3)))
    listed = node.stub.ListRounds(query_pb2.ListRoundsRequest(task=1)).rounds
    assert [entry.opened.round for entry in listed] == [3, 2, 1]
    limited = node.stub.ListRounds(query_pb2.ListRoundsRequest(task=1, limit=2)).rounds
    assert [entry.opened.round for entry in limited] == [3, 2]


def test_a_payload_is_served_by_its_root(node: Node) -> None:
    item = run_round(node)
    payload = item.values(1).tobytes()
    root = item.statement(1, payload).payload_root
    request = query_pb2.GetPayloadRequest(payload_root=root, task=1, round=1, attempt=1)
    assert node.stub.GetPayload(request).payload == payload


def test_a_dropped_payload_is_not_found(node: Node) -> None:
    item = run_round(node)
    root = item.statement(1, item.values(1).tobytes()).payload_root
    node.chain.settle(item)
    request = query_pb2.GetPayloadRequest(payload_root=root, task=1, round=1, attempt=1)
    with pytest.raises(grpc.RpcError) as caught:
        node.stub.GetPayload(request)
    assert refusal(caught.value) == (grpc.StatusCode.NOT_FOUND, "shard", 62)


def test_body_parts_are_served_with_paths_to_the_body_root(node: Node) -> None:
    item = run_round(node, parameters=60_000)
    header = get_header(node.chain.state, item.round_id)
    assert header is not None
    request = query_pb2.GetBodyPartsRequest(task=1, round=1, attempt=1, first=1, limit=1)
    page = node.stub.GetBodyParts(request)
    everything = node.stub.GetBodyParts(query_pb2.GetBodyPartsRequest(task=1, round=1, attempt=1))
    assert page.total_parts == len(everything.parts) == 3
    assert [part.index for part in page.parts] == [1]
    for part in everything.parts:
        verify_merkle_path(header.body_root, part.data, part.index, 3, list(part.path))
    assert sum(len(part.data) for part in everything.parts) == header.body_bytes


def test_past_the_last_part_there_are_none(node: Node) -> None:
    run_round(node)
    request = query_pb2.GetBodyPartsRequest(task=1, round=1, attempt=1, first=2**32 - 1, limit=2**32 - 1)
    page = node.stub.GetBodyParts(request)
    assert (page.total_parts, len(page.parts)) == (1, 0)


def test_an_open_round_has_no_body(node: Node) -> None:
    node.chain.open(build_round())
    with pytest.raises(grpc.RpcError) as caught:
        node.stub.GetBodyParts(query_pb2.GetBodyPartsRequest(task=1, round=1, attempt=1))
    assert refusal(caught.value) == (grpc.StatusCode.NOT_FOUND, "shard", 63)


def test_errors_are_registered_once_with_a_cure() -> None:
    leaves = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, AppError) and "CODE" in vars(value)
    ]
    assert leaves
    assert all(leaf.CODESPACE == "shard" and leaf.CURE and leaf.__doc__ for leaf in leaves)
