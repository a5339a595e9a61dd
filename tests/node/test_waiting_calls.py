"""Calls that wait for a block, over a real gRPC server: they leave room for all others, and say so when they do not."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from abci_app.client import ChainConnection
from abci_app.errors import NodeUnavailable, TooManyWaiting, TxTooLarge
from abci_app.execution import TxResult
from abci_app.gateway import CommittedUpdate
from abci_app.grpc_errors import CANNOT_NOW, RemoteError, error_of
from abci_app.node_service import NodeService
from abci_app.outcomes import OutcomeIndex
from abci_app.rpc_answers import BroadcastOutcome
from abci_app.waiting import MAX_WAITING, WaitingRoom
from cli.submit_update import UpdateSubmitter
from shards.service import ShardServicer
from tests.support.grpc_serving import serving
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE_S, eventually
from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.gradchain.shard.v1 import query_pb2_grpc as shard_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from abci_app.application import ChainApplication
    from abci_app.gateway import UpdateBundler
    from abci_app.state import StateReader
    from tx.errors import AppError
    from wire.gradchain.fl.v1 import update_pb2


@dataclass
class SilentChain:
    """Takes every transaction, and puts none into a block before the test says so."""

    outcomes: OutcomeIndex = field(default_factory=OutcomeIndex)
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    txs: list[bytes] = field(default_factory=list)
    refusal: AppError | None = None
    """What its CometBFT answers instead of taking a transaction."""

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        if self.refusal is not None:
            raise self.refusal
        self.txs.append(tx)
        return BroadcastOutcome(sha256(tx).digest())

    def make_block(self) -> None:
        self.outcomes.record(8, {sha256(tx).digest(): TxResult() for tx in self.txs})

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve the chain; yield the address."""
        snapshot = SimpleNamespace(height=7, app_hash=b"h", time_ns=1)
        application = SimpleNamespace(
            chain_id="silent",
            definition=SimpleNamespace(kind="shard"),
            store=SimpleNamespace(latest=lambda: snapshot),
            outcomes=self.outcomes,
            waiting=self.waiting,
        )
        service = NodeService(cast("ChainApplication", application), self, rpc_address="")
        add = partial(query_pb2_grpc.add_NodeServiceServicer_to_server, service)
        with serving({"gradchain.node.v1.NodeService": add}) as address:
            try:
                yield address
            finally:
                self.make_block()


@pytest.fixture
def chain() -> SilentChain:
    return SilentChain()


@pytest.fixture
def stub(chain: SilentChain) -> Iterator[query_pb2_grpc.NodeServiceStub]:
    with chain.served() as address, grpc.insecure_channel(address) as channel:
        yield query_pb2_grpc.NodeServiceStub(channel)


def fill(
    chain: SilentChain, stub: query_pb2_grpc.NodeServiceStub
) -> Sequence[grpc.Future[query_pb2.BroadcastTxResponse]]:
    """Let as many calls wait as may."""
    requests = [
        query_pb2.BroadcastTxRequest(tx=b"tx %d" % number, wait=True) for number in range(MAX_WAITING)
    ]
    calls = [stub.BroadcastTx.future(request, timeout=PATIENCE_S) for request in requests]
    eventually(lambda: len(chain.txs) == MAX_WAITING, "all calls to wait")
    return calls


def test_queries_are_answered_while_as_many_calls_wait_as_may(
    chain: SilentChain, stub: query_pb2_grpc.NodeServiceStub
) -> None:
    waiting = fill(chain, stub)
    assert stub.GetStatus(query_pb2.GetStatusRequest(), timeout=PATIENCE_S).height == 7
    request = query_pb2.BroadcastTxRequest(tx=b"another")
    assert stub.BroadcastTx(request, timeout=PATIENCE_S).tx_hash == sha256(b"another").digest()
    chain.make_block()
    assert {call.result().outcome.height for call in waiting} == {8}


def test_one_more_that_waits_is_refused_before_anything_is_sent(
    chain: SilentChain, stub: query_pb2_grpc.NodeServiceStub
) -> None:
    waiting = fill(chain, stub)
    one_more = query_pb2.BroadcastTxRequest(tx=b"one more", wait=True)
    with pytest.raises(grpc.RpcError) as refused:
        stub.BroadcastTx(one_more, timeout=PATIENCE_S)
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    found = error_of(refused.value)
    assert found is not None
    assert found[:2] == (TooManyWaiting.CODESPACE, TooManyWaiting.CODE)
    assert one_more.tx not in chain.txs
    chain.make_block()
    for call in waiting:
        call.result()
    later = stub.BroadcastTx.future(one_more, timeout=PATIENCE_S)
    eventually(lambda: one_more.tx in chain.txs, "a free place")
    chain.make_block()
    assert later.result().outcome.height == 8


def test_a_client_turns_to_the_next_node_when_too_many_wait() -> None:
    full, free = SilentChain(waiting=WaitingRoom(0)), SilentChain()
    free.outcomes.record(3, {sha256(b"tx").digest(): TxResult()})
    request = query_pb2.BroadcastTxRequest(tx=b"tx", wait=True)
    with ExitStack() as stack:
        addresses = [stack.enter_context(chain.served()) for chain in (full, free)]
        connection = ChainConnection(addresses)
        stack.callback(connection.close)
        answer = connection.node(lambda stub: stub.BroadcastTx(request, timeout=PATIENCE_S))
    assert (answer.outcome.height, full.txs) == (3, [])


@pytest.mark.parametrize("error", CANNOT_NOW)
def test_a_client_turns_to_the_next_node_when_one_cannot_take_a_transaction_now(
    error: type[AppError],
) -> None:
    request = query_pb2.BroadcastTxRequest(tx=b"tx")
    unable, able = SilentChain(refusal=error("a while")), SilentChain()
    with ExitStack() as stack:
        connection = ChainConnection([stack.enter_context(chain.served()) for chain in (unable, able)])
        stack.callback(connection.close)
        connection.node(lambda stub: stub.BroadcastTx(request, timeout=PATIENCE_S))
    assert able.txs == [request.tx]


def test_a_refusal_is_the_answer_of_the_whole_chain() -> None:
    request = query_pb2.BroadcastTxRequest(tx=b"tx")
    refusing, other = SilentChain(refusal=TxTooLarge("too large")), SilentChain()
    with ExitStack() as stack:
        connection = ChainConnection([stack.enter_context(chain.served()) for chain in (refusing, other)])
        stack.callback(connection.close)
        with pytest.raises(RemoteError, match="too large"):
            connection.node(lambda stub: stub.BroadcastTx(request, timeout=PATIENCE_S))
    assert other.txs == []


def test_a_client_says_so_when_too_many_wait_everywhere() -> None:
    request = query_pb2.BroadcastTxRequest(tx=b"tx", wait=True)
    with ExitStack() as stack:
        chains = [SilentChain(waiting=WaitingRoom(0)) for _ in range(2)]
        connection = ChainConnection([stack.enter_context(chain.served()) for chain in chains])
        stack.callback(connection.close)
        with pytest.raises(RemoteError) as refused:
            connection.node(lambda stub: stub.BroadcastTx(request, timeout=PATIENCE_S))
    assert refused.value.is_error(TooManyWaiting)


def test_a_client_names_every_node_when_one_is_full_and_one_is_away() -> None:
    away = f"127.0.0.1:{free_ports(1)[0]}"
    request = query_pb2.BroadcastTxRequest(tx=b"tx", wait=True)
    with SilentChain(waiting=WaitingRoom(0)).served() as address:
        connection = ChainConnection([address, away])
        with pytest.raises(NodeUnavailable) as failed:
            connection.node(lambda stub: stub.BroadcastTx(request, timeout=PATIENCE_S))
        connection.close()
    assert address in failed.value.message
    assert away in failed.value.message


@dataclass
class Bundler:
    """Takes every update."""

    taken: int = 0

    def submit(self, update: update_pb2.Update, *, wait: bool, timeout_s: float) -> CommittedUpdate:
        del update, wait, timeout_s
        self.taken += 1
        return CommittedUpdate(b"hash", 0)


def test_an_update_that_waits_takes_a_place_and_one_that_does_not_takes_none() -> None:
    bundler = Bundler()
    application = SimpleNamespace(waiting=WaitingRoom(0))
    submitter = UpdateSubmitter(cast("ChainApplication", application), cast("UpdateBundler", bundler))
    servicer = ShardServicer(lambda: cast("StateReader", None), submitter.submit)
    add = partial(shard_grpc.add_ShardServiceServicer_to_server, servicer)
    with (
        serving({"gradchain.shard.v1.ShardService": add}) as address,
        grpc.insecure_channel(address) as channel,
    ):
        stub = shard_grpc.ShardServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.SubmitUpdate(shard_query.SubmitUpdateRequest(wait=True), timeout=PATIENCE_S)
        assert isinstance(refused.value, grpc.Call)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert bundler.taken == 0
        stub.SubmitUpdate(shard_query.SubmitUpdateRequest(), timeout=PATIENCE_S)
        assert bundler.taken == 1
