"""Several nodes of a chain: order, failover, back-off, and whom not to believe."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from grpc import aio

from abci_app.errors import EndpointUnreachable, HeightUnavailable, MempoolFull, RpcRefused, TxReplayed
from abci_app.grpc_errors import ERROR_KEY, RemoteError
from abci_app.rpc_async import AsyncCometRpc
from ibc.errors import ConsensusStateNotFound
from relayer.config import NodeAddress
from relayer.errors import EndpointsDown, HeightsDisagree
from relayer.nodes import FIRST_COOLING_S, LONGEST_COOLING_S, ChainNodes, Node, connect, remote_error
from relayer.queries import broadcast
from relayer.types import ChainId, Failure
from tests.support.relayer import connected, running_pair, until
from wire.gradchain.node.v1 import query_pb2 as node_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Script:
    """What each node does when it is asked."""

    failures: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, node: Node) -> str:
        self.asked.append(node.address.rpc)
        failure = self.failures.get(node.address.rpc)
        if failure is not None:
            raise failure
        return node.address.rpc


def run(test: Callable[[ChainNodes, Clock], Awaitable[None]]) -> None:
    """Run a test with three nodes that belong to the right chain."""

    async def prepare() -> None:
        addresses = [NodeAddress(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}") for port in (1, 2, 3)]
        nodes = connect(ChainId("hub-1"), "hub", addresses, 1.0)
        clock = Clock()
        nodes.clock_s = clock
        for node in nodes.nodes:
            node.is_checked = True
        await test(nodes, clock)
        await nodes.close()

    asyncio.run(prepare())


A, B, C = (f"http://127.0.0.1:{port}" for port in (1, 2, 3))
DOWN = EndpointUnreachable("down")


def test_the_first_node_is_preferred() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script()
        assert await nodes.ask(script) == A
        assert script.asked == [A]

    run(test)


def test_the_next_node_is_asked_when_one_is_silent() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script({A: DOWN, B: DOWN})
        assert await nodes.ask(script) == C
        assert script.asked == [A, B, C]

    run(test)


def test_a_silent_node_is_left_alone_for_a_while() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script({A: DOWN})
        await nodes.ask(script)
        script.failures.clear()
        assert await nodes.ask(script) == B
        clock.now_s += FIRST_COOLING_S + 0.01
        assert await nodes.ask(script) == A

    run(test)


def test_the_pause_grows_while_a_node_stays_silent() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script({A: DOWN})
        for expected in (1, 2, 4, 8):
            await nodes.ask(script)
            assert nodes.nodes[0].cooling_until_s - clock.now_s == FIRST_COOLING_S * expected
            clock.now_s = nodes.nodes[0].cooling_until_s
        script.failures.clear()
        await nodes.ask(script)
        assert nodes.nodes[0].failures == 0

    run(test)


def test_nodes_that_cool_are_asked_when_there_is_no_other() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script(dict.fromkeys((A, B, C), DOWN))
        with pytest.raises(EndpointsDown):
            await nodes.ask(script)
        script.failures.clear()
        assert await nodes.ask(script) == A

    run(test)


def test_a_refusal_is_an_answer() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script({A: RemoteError("hub", 7, "no")})
        with pytest.raises(RemoteError):
            await nodes.ask(script)
        assert script.asked == [A]

    run(test)


def test_what_the_rpc_of_one_node_refuses_is_asked_of_the_others() -> None:
    """A node that has just lost its app refuses everything that concerns the app, until it ends."""

    async def test(nodes: ChainNodes, clock: Clock) -> None:
        assert await nodes.ask(Script({A: RpcRefused("no")})) == B
        with pytest.raises(RpcRefused):
            await nodes.ask(Script(dict.fromkeys((A, B, C), RpcRefused("no"))))

    run(test)


def test_a_node_that_lags_behind_is_passed_over_without_blame() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        script = Script({A: HeightUnavailable("not yet"), B: RemoteError("node", 101, "not kept")})
        assert await nodes.ask(script) == C
        assert nodes.nodes[0].failures == 0

    run(test)


def test_a_node_whose_light_clients_lag_behind_is_passed_over_without_blame() -> None:
    behind = RemoteError(ConsensusStateNotFound.CODESPACE, ConsensusStateNotFound.CODE, "not that far")

    async def test(nodes: ChainNodes, clock: Clock) -> None:
        assert await nodes.ask(Script({A: behind})) == B
        assert nodes.nodes[0].failures == 0
        with pytest.raises(HeightsDisagree):
            await nodes.ask(Script(dict.fromkeys((A, B, C), behind)))

    run(test)


def test_heights_that_no_node_has_are_told_apart_from_silence() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        with pytest.raises(HeightsDisagree):
            await nodes.ask(Script({A: HeightUnavailable("not yet"), B: DOWN, C: DOWN}))

    run(test)


def test_a_full_mempool_sends_us_to_the_next_node() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        assert await nodes.ask(Script({A: MempoolFull("full")})) == B
        with pytest.raises(MempoolFull):
            await nodes.ask(Script(dict.fromkeys((A, B, C), MempoolFull("full"))))

    run(test)


@dataclass
class Mempool:
    """A node that says the same of every transaction."""

    outcome: node_pb2.TxOutcome
    address: NodeAddress = field(default_factory=lambda: NodeAddress(A, "127.0.0.1:1"))
    timeout_s: float = 1.0
    failures: int = 0
    cooling_until_s: float = 0.0
    doubted_until_s: float = 0.0
    is_checked: bool = True
    behind_until_s: float = 0.0
    asked: int = 0

    @property
    def node(self) -> Mempool:
        return self

    async def BroadcastTx(  # noqa: N802 - gRPC names
        self,
        request: node_pb2.BroadcastTxRequest,
        timeout: float,  # noqa: ASYNC109 - gRPC names
    ) -> node_pb2.BroadcastTxResponse:
        self.asked += 1
        return node_pb2.BroadcastTxResponse(outcome=self.outcome)


def broadcast_to(*outcomes: node_pb2.TxOutcome) -> tuple[Failure | None, list[int]]:
    """Hand a transaction to nodes that say this; return the verdict, and how often each was asked."""
    mempools = [Mempool(outcome) for outcome in outcomes]
    nodes = ChainNodes(ChainId("hub-1"), "hub", [cast("Node", mempool) for mempool in mempools])
    return asyncio.run(broadcast(nodes, b"tx")), [mempool.asked for mempool in mempools]


HELD = node_pb2.TxOutcome(codespace=TxReplayed.CODESPACE, code=TxReplayed.CODE, log="pending")
LATE = node_pb2.TxOutcome(codespace="ibc", code=73, log="late")


def test_a_transaction_that_one_node_holds_is_handed_to_the_others_too() -> None:
    assert broadcast_to(HELD, node_pb2.TxOutcome()) == (None, [1, 1])
    assert broadcast_to(HELD, LATE) == (Failure("ibc", 73, "late"), [1, 1])
    assert broadcast_to(HELD, HELD) == (Failure(TxReplayed.CODESPACE, TxReplayed.CODE, "pending"), [1, 1])
    assert broadcast_to(LATE, node_pb2.TxOutcome()) == (Failure("ibc", 73, "late"), [1, 0])


def test_a_node_that_is_not_believed_comes_last() -> None:
    async def test(nodes: ChainNodes, clock: Clock) -> None:
        nodes.demote("it lied")
        assert await nodes.ask(Script()) == B

    run(test)


def test_a_node_that_is_not_believed_is_not_believed_again_for_an_answer() -> None:
    """Other questions may be on their way to it."""

    async def test(nodes: ChainNodes, clock: Clock) -> None:
        async def ask_slowly(node: Node) -> str:
            await answered.wait()
            return node.address.rpc

        answered = asyncio.Event()
        asked = asyncio.create_task(nodes.ask(ask_slowly))
        await asyncio.sleep(0)
        nodes.demote("it lied")
        answered.set()
        assert await asked == A
        assert await nodes.ask(Script()) == B
        clock.now_s += LONGEST_COOLING_S
        assert await nodes.ask(Script()) == A

    run(test)


def make_grpc_error(metadata: tuple[tuple[str, str], ...]) -> aio.AioRpcError:
    return aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND, aio.Metadata(), aio.Metadata(*metadata), details="no round [hub/5]"
    )


def test_a_registered_error_is_read_from_the_trailing_metadata() -> None:
    error = remote_error(make_grpc_error(((ERROR_KEY, "hub/5"),)))
    assert error is not None
    assert (error.CODESPACE, error.CODE, error.message) == ("hub", 5, "no round")


@pytest.mark.parametrize("metadata", [(), ((ERROR_KEY, "hub/x"),), (("other", "hub/5"),)])
def test_a_call_that_just_failed_has_no_registered_error(metadata: tuple[tuple[str, str], ...]) -> None:
    assert remote_error(make_grpc_error(metadata)) is None


def test_a_node_of_another_chain_is_not_used(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:
        wrong = NodeAddress(pair.hub.address.rpc, pair.shard.address.grpc)

        async def test() -> None:
            nodes = connect(ChainId("hub-1"), "hub", [wrong], 5.0)
            with pytest.raises(EndpointsDown, match="shard-1"):
                await nodes.ask(lambda node: node.rpc.status())
            await nodes.close()
            right = connect(ChainId("hub-1"), "hub", [wrong, pair.hub.address], 5.0)
            assert (await right.ask(lambda node: node.rpc.status())).chain_id == "hub-1"
            await right.close()

        asyncio.run(test())


def test_a_node_of_another_kind_is_not_used(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:

        async def test() -> None:
            nodes = connect(ChainId("hub-1"), "shard", [pair.hub.address], 5.0)
            with pytest.raises(EndpointsDown, match=r"expected a shard hub-1"):
                await nodes.ask(lambda node: node.rpc.status())
            await nodes.close()

        asyncio.run(test())


def test_heights_follow_without_a_gap_from_one_node_to_the_next(tmp_path: Path) -> None:
    with running_pair(tmp_path, linked=False) as pair:

        async def test() -> None:
            async with connected(pair.config) as (hub, _):
                dead = NodeAddress("http://127.0.0.1:9", "127.0.0.1:9")
                both = connect(hub.chain_id, "hub", [dead, pair.hub.address], 5.0)
                seen: list[int] = []

                async def follow() -> None:
                    async with aclosing(both.follow_heights(0)) as heights:
                        async for height in heights:
                            seen.append(height)  # noqa: PERF401 - the test looks at it meanwhile

                task = asyncio.create_task(follow())
                await until(lambda: len(seen) > 4, "some heights")
                task.cancel()
                await asyncio.wait([task])
                await both.close()
                assert seen == list(range(1, len(seen) + 1))

        asyncio.run(test())


def test_a_chain_without_a_node_that_answers_is_down(tmp_path: Path) -> None:
    async def test() -> None:
        dead = NodeAddress("http://127.0.0.1:9", "127.0.0.1:9")
        nodes = connect(ChainId("hub-1"), "hub", [dead], 1.0)
        with pytest.raises(EndpointsDown):
            await nodes.ask(lambda node: node.rpc.status())
        with pytest.raises(EndpointsDown):
            async with aclosing(nodes.follow_heights(0)) as heights:
                await anext(heights)
        await nodes.close()

    asyncio.run(test())


def test_a_node_that_refuses_at_first_does_not_end_the_watch_of_its_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its CometBFT may answer with an error while it starts."""

    async def refuse(_: AsyncCometRpc) -> None:
        raise RpcRefused("starting")

    async def test(nodes: ChainNodes, clock: Clock) -> None:
        for node in nodes.nodes:
            node.is_checked = False
        with pytest.raises(EndpointsDown, match="starting; starting; starting"):
            async with aclosing(nodes.follow_heights(0)) as heights:
                await anext(heights)

    monkeypatch.setattr(AsyncCometRpc, "status", refuse)
    run(test)
