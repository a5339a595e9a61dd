"""Asking every single node of a chain how it does, without failover: what an examination judges."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from grpc import aio

from relayer.errors import EndpointsDown
from relayer.nodes import remote_error
from tx.errors import AppError
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from abci_app.rpc_answers import Status
    from relayer.nodes import ChainNodes, Node

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeProbe:
    """What one node said, both doors."""

    chain_id: str
    """Of the configuration."""
    kind: str
    """`hub` or `shard`, of the configuration."""
    rpc: str
    grpc: str
    rpc_status: Status | AppError
    grpc_status: query_pb2.GetStatusResponse | AppError
    clock_skew_s: float | None
    """The node's clock minus ours, to half a second; None if it does not tell."""

    @property
    def height(self) -> int | None:
        """Of the node's newest executed block; None if it does not answer."""
        return None if isinstance(self.grpc_status, AppError) else self.grpc_status.height


async def probe_chain(chain: ChainNodes) -> tuple[NodeProbe, ...]:
    """Ask all nodes of a chain at once."""
    return tuple(await asyncio.gather(*(_probe_node(chain, node) for node in chain.nodes)))


async def _probe_node(chain: ChainNodes, node: Node) -> NodeProbe:
    request = query_pb2.GetStatusRequest()
    rpc_status, grpc_status, skew = await asyncio.gather(
        _ask(node, node.rpc.status()),
        _ask(node, node.node.GetStatus(request, timeout=node.timeout_s)),
        _measure_skew(node),
    )
    return NodeProbe(
        chain.chain_id, chain.kind, node.address.rpc, node.address.grpc, rpc_status, grpc_status, skew
    )


async def _measure_skew(node: Node) -> float | None:
    """Return by how many seconds a node's clock is ahead of ours."""
    begin = time.time()
    said = await _ask(node, node.rpc.clock_ns())
    if said is None or isinstance(said, AppError):
        return None
    # It was cut to the second, and read somewhere between question and answer.
    return said / 1e9 + 0.5 - (begin + time.time()) / 2


async def _ask(node: Node, question: Awaitable[T]) -> T | AppError:
    try:
        return await question
    except aio.AioRpcError as error:
        refusal = remote_error(error)
        if refusal is not None:
            return refusal
        return EndpointsDown(
            f"expected an answer from {node.address.grpc}, got: {error.code().name} {error.details()}"
        )
    except AppError as error:
        return error
