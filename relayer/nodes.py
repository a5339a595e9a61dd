"""The nodes of one chain: asked in order of preference, with failover and back-off.

A node that does not answer is left alone for a while, longer each time; the others are asked meanwhile.  An answer is
an answer: a node's refusal is passed on.  Only "I am not that far" is a reason to ask another node too.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
import structlog
from grpc import aio

from abci_app.both import finish_both
from abci_app.errors import (
    EndpointUnreachable,
    HeightUnavailable,
    RpcMalformed,
    StateNotKept,
    TxReplayed,
)
from abci_app.grpc_errors import CANNOT_NOW, ERROR_KEY, RemoteError, read_code
from abci_app.rpc_async import AsyncCometRpc
from ibc.errors import ConsensusStateNotFound
from relayer.errors import AnswerMalformed, ChainMismatch, EndpointsDown, HeightsDisagree
from relayer.types import MAX_STORED
from tx.errors import AppError
from wire.gradchain.hub.v1 import query_pb2_grpc as hub_grpc
from wire.gradchain.ibc.v1 import query_pb2_grpc as ibc_grpc
from wire.gradchain.node.v1 import query_pb2
from wire.gradchain.node.v1 import query_pb2_grpc as node_grpc
from wire.gradchain.shard.v1 import query_pb2_grpc as shard_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from relayer.config import NodeAddress
    from relayer.types import ChainId

T = TypeVar("T")

LOG = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
FIRST_COOLING_S: Final = 0.25
LONGEST_COOLING_S: Final = 15.0
MEASURE_S: Final = 1.0
"""How long all nodes of a chain are waited for that are asked at once how far they are."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # The least time that one attempt to connect gets, not a pause.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_UNREACHABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_BEHIND: Final = frozenset(
    (error.CODESPACE, error.CODE) for error in (ConsensusStateNotFound, HeightUnavailable, StateNotKept)
)
"""What a node says that is not as far as others, or keeps less."""

_UNABLE: Final = frozenset((error.CODESPACE, error.CODE) for error in (*CANNOT_NOW, TxReplayed))
"""What a node says that cannot help now, although another one may."""


class NodeSilent(Exception):
    """A node gave no answer.  It never leaves this module."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Node:
    """One node."""

    address: NodeAddress
    timeout_s: float
    rpc: AsyncCometRpc
    channel: aio.Channel
    failures: int = 0
    cooling_until_s: float = 0.0
    """Until then it is left alone, since it has not answered; any answer ends that."""
    doubted_until_s: float = 0.0
    """Until then it is left alone, since something that it served does not verify; no answer ends that."""
    is_checked: bool = False
    """It belongs to the right chain."""
    behind_until_s: float = 0.0
    """Until then others are asked first, whatever it answers: it was found to be behind them, or not to answer."""

    @property
    def node(self) -> node_grpc.NodeServiceAsyncStub:
        """The service that every node has."""
        return node_grpc.NodeServiceStub(self.channel)

    @property
    def ibc(self) -> ibc_grpc.IbcServiceAsyncStub:
        """The service for relayers."""
        return ibc_grpc.IbcServiceStub(self.channel)

    @property
    def hub(self) -> hub_grpc.HubServiceAsyncStub:
        """The service of a hub's node."""
        return hub_grpc.HubServiceStub(self.channel)

    @property
    def shard(self) -> shard_grpc.ShardServiceAsyncStub:
        """The service of a shard's node."""
        return shard_grpc.ShardServiceStub(self.channel)


@dataclass(slots=True)
class ChainNodes:
    """All configured nodes of one chain."""

    chain_id: ChainId
    kind: str
    """`hub` or `shard`."""
    nodes: list[Node]
    clock_s: Callable[[], float] = field(default=time.monotonic)
    search: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who looks through blocks: each may take tens of megabytes with its results, so one at a time."""
    doubts: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when what a node says of the newest block may be false; who follows the chain looks into it."""
    followed: Node | None = None
    """Which tells of new blocks; others may be asked before it meanwhile."""

    async def close(self) -> None:
        """Close all connections."""
        for node in self.nodes:
            await node.rpc.close()
            await node.channel.close()

    async def ask(self, question: Callable[[Node], Awaitable[T]]) -> T:
        """Return the answer of the first node that gives one.

        Raises:
          AppError: what the node refuses with, as its own error or a `RemoteError`.
          HeightsDisagree: those that answer are not that far, or keep nothing that old.
          EndpointsDown: none answers.

        """
        reasons: list[str] = []
        unable: AppError | None = None
        for node in self._in_order():
            try:
                answer = await self._ask_one(node, question)
            except NodeSilent as silence:
                reasons.append(f"{node.address.rpc}: {silence.reason}")
                continue
            except AppError as error:
                if (error.CODESPACE, error.CODE) not in _BEHIND | _UNABLE:
                    raise
                unable = error
                continue
            return answer
        if unable is not None and (unable.CODESPACE, unable.CODE) in _BEHIND:
            self.doubts.set()
            raise HeightsDisagree(f"{self.chain_id}: {unable.message}") from unable
        if unable is not None:
            raise unable
        raise EndpointsDown(f"{self.chain_id}: expected an answer, got: {'; '.join(reasons)}")

    async def prefer_newest(self, slack_blocks: int = 0, period_s: float = math.inf) -> None:
        """Ask all nodes at once how far they are, and ask those first for a while that are not behind the others.

        The order stays as it is among those that are within `slack_blocks` of the newest, and if no node answers in
        time.  A chain of one node is not asked.
        """
        if len(self.nodes) < 2:
            return
        tasks = [asyncio.create_task(self._measure(node)) for node in self.nodes]
        try:
            await asyncio.wait(tasks, timeout=MEASURE_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        heights = [-1 if task.cancelled() else task.result() for task in tasks]
        newest = max(heights)
        if newest < 0:
            return
        for node, height in zip(self.nodes, heights, strict=True):
            is_behind = height < 0 or height + slack_blocks < newest
            if is_behind and not node.behind_until_s:
                LOG.info("node is behind", chain=self.chain_id, node=node.address.rpc, newest=newest)
            node.behind_until_s = self.clock_s() + period_s if is_behind else 0.0

    async def _measure(self, node: Node) -> int:
        """Return the height of a node's newest executed block, or -1 if it does not tell."""
        request = query_pb2.GetStatusRequest()
        try:
            answer = await self._ask_one(node, lambda node: node.node.GetStatus(request, timeout=MEASURE_S))
        except (NodeSilent, AppError):
            return -1
        return answer.height

    async def ask_each(self, question: Callable[[Node], Awaitable[T]]) -> list[tuple[Node, T]]:
        """Return the answers of all nodes that give one, whatever was thought of them before."""

        async def ask_one(node: Node) -> T:
            if not node.is_checked:
                await self._check_chain(node)
            return await question(node)

        answers = await asyncio.gather(*map(ask_one, self.nodes), return_exceptions=True)
        return [
            (node, answer)
            for node, answer in zip(self.nodes, answers, strict=True)
            if not isinstance(answer, BaseException)
        ]

    async def follow_heights(self, cursor: int) -> AsyncGenerator[int, None]:
        """Yield every height above the cursor, in order and without a gap, from whichever node serves them.

        Who leaves the loop early closes the generator (`contextlib.aclosing`).

        Raises:
          EndpointsDown: no node serves them; the caller tries again.

        """
        reasons = []
        for node in self._in_order():
            self.followed = node
            try:
                await self._ask_one(node, _ask_nothing)
            except NodeSilent as silence:
                reasons.append(silence.reason)
                continue
            except AppError as refusal:
                # What it says while it starts, for one, is no reason to give up the others.
                reasons.append(refusal.message)
                continue
            try:
                async with aclosing(node.rpc.subscribe_heights(cursor, attempts=1)) as heights:
                    async for height in heights:
                        if height > MAX_STORED:
                            reasons.append(f"expected a height of at most {MAX_STORED}, got {height}")
                            self._note_silence(node, reasons[-1])
                            break
                        cursor = height
                        self._note_answer(node)
                        yield height
            except EndpointUnreachable as error:
                self._note_silence(node, error.message)
                reasons.append(error.message)
        raise EndpointsDown(f"{self.chain_id}: expected new blocks, got: {'; '.join(reasons)}")

    def demote(self, reason: str, node: Node | None = None) -> None:
        """Leave a node, by default the preferred one, alone for a while: what it served does not verify."""
        node = node or self._in_order()[0]
        self.doubts.set()
        LOG.warning("node is not believed", chain=self.chain_id, node=node.address.rpc, reason=reason)
        node.doubted_until_s = self.clock_s() + LONGEST_COOLING_S

    def _in_order(self) -> Sequence[Node]:
        """Return the nodes in order of preference: those behind after others, and last those to be left alone."""
        now_s = self.clock_s()
        ready = [node for node in self.nodes if _left_until(node) <= now_s]
        newest = [node for node in ready if node.behind_until_s <= now_s]
        behind = [node for node in ready if node.behind_until_s > now_s]
        left = sorted((node for node in self.nodes if _left_until(node) > now_s), key=_left_until)
        return [*newest, *behind, *left]

    async def _ask_one(self, node: Node, question: Callable[[Node], Awaitable[T]]) -> T:
        try:
            if not node.is_checked:
                await self._check_chain(node)
            answer = await question(node)
        except aio.AioRpcError as error:
            refusal = remote_error(error)
            if refusal is not None:
                self._note_answer(node)
                raise refusal from error
            reason = f"{error.code().name} {error.details()}"
            self._note_silence(node, reason)
            raise NodeSilent(reason) from error
        except (AnswerMalformed, ChainMismatch, EndpointUnreachable, RpcMalformed) as error:
            self._note_silence(node, error.message)
            raise NodeSilent(error.message) from error
        self._note_answer(node)
        return answer

    async def _check_chain(self, node: Node) -> None:
        """Check once that a node belongs to the chain that it is configured for.

        Raises:
          ChainMismatch: it belongs to another one.

        """
        status, answer = await finish_both(
            node.rpc.status(), node.node.GetStatus(query_pb2.GetStatusRequest(), timeout=node.timeout_s)
        )
        got = {(status.chain_id, self.kind), (answer.chain_id, answer.kind)}
        if got != {(self.chain_id, self.kind)}:
            raise ChainMismatch(
                f"expected a {self.kind} {self.chain_id} at {node.address.rpc} and {node.address.grpc}, got "
                f"{status.chain_id} and a {answer.kind} {answer.chain_id}"
            )
        node.is_checked = True

    def _note_answer(self, node: Node) -> None:
        if node.failures:
            LOG.info("node answers again", chain=self.chain_id, node=node.address.rpc)
        node.failures, node.cooling_until_s = 0, 0.0

    def _note_silence(self, node: Node, reason: str) -> None:
        if not node.failures:
            LOG.warning("node does not answer", chain=self.chain_id, node=node.address.rpc, reason=reason)
        pause_s = min(FIRST_COOLING_S * 2 ** min(node.failures, 16), LONGEST_COOLING_S)
        node.failures += 1
        node.cooling_until_s = self.clock_s() + pause_s


async def _ask_nothing(_node: Node) -> None:
    """Ask nothing: that a node belongs to the right chain is checked before any question."""


def _left_until(node: Node) -> float:
    return max(node.cooling_until_s, node.doubted_until_s)


def remote_error(error: aio.AioRpcError) -> RemoteError | None:
    """Return the registered error that a call ended with, or None if it ended without one."""
    for key, value in error.trailing_metadata() or ():
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        read = read_code(text) if key == ERROR_KEY else None
        if read is not None:
            return RemoteError(*read, (error.details() or "").removesuffix(f" [{text}]"))
    return None


def connect(chain_id: ChainId, kind: str, addresses: Sequence[NodeAddress], timeout_s: float) -> ChainNodes:
    """Return clients of a chain's nodes; nothing is connected yet.  Needs a running event loop."""
    nodes = [
        Node(
            address,
            timeout_s,
            AsyncCometRpc(address.rpc, timeout_s),
            aio.insecure_channel(address.grpc, options=_OPTIONS),
        )
        for address in addresses
    ]
    return ChainNodes(chain_id, kind, nodes)
