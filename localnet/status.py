"""How every node of a localnet does, with an alarm when two nodes of a chain have different states.

CometBFT halts a node whose state differs only when the next block arrives, and such a node then restarts in circles
without an answer.  So states are compared here, by what the apps themselves say of them: each node's app hash at
its own height, and at the lowest height of its chain, which the nodes ahead know from their headers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from abci_app.both import finish_both
from abci_app.client import ChainConnection
from abci_app.errors import EndpointUnreachable, HeightUnavailable, NodeError, RpcRefused
from abci_app.nodestate import read_state
from abci_app.probe import accepts_tcp
from abci_app.rpc_async import AsyncCometRpc
from localnet.errors import AppHashesDiverge
from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from localnet.nodes import NodeHandle

RPC_TIMEOUT_S: Final = 10.0
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Observation:
    """What a node says of the state after a height."""

    height: int
    app_hash: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One row of the status."""

    node: str
    chain: str
    phase: str
    """What the supervisor says: running, stopped, starting, given up, ..."""
    restarts: int
    reason: str
    """Why it was last restarted; "" if it never was."""
    answers: bool
    """Whether its RPC answers, and its app to that; what follows is empty if not."""
    height: int = 0
    block_age_s: float = 0.0
    """Seconds since the time of the newest block."""
    catching_up: bool = False
    peers: int = 0
    mempool_txs: int = 0
    states: tuple[Observation, ...] = ()
    """The newest first."""

    @property
    def app_hash(self) -> str:
        """Hash of the app's newest state; "" if it is not known."""
        return self.states[0].app_hash if self.states else ""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Nodes of one chain that disagree about the state after a height."""

    chain: str
    height: int
    nodes_by_hash: Mapping[str, tuple[str, ...]]


def collect_reports(nodes: Sequence[NodeHandle]) -> list[NodeReport]:
    """Ask all nodes at once and return their reports, in the order of the nodes."""
    return asyncio.run(_collect(nodes))


def find_divergences(reports: Iterable[NodeReport]) -> list[Divergence]:
    """Return every chain and height at which two nodes state different app hashes."""
    seen: dict[tuple[str, int], dict[str, set[str]]] = {}
    for report in reports:
        for state in report.states:
            hashes = seen.setdefault((report.chain, state.height), {})
            hashes.setdefault(state.app_hash, set()).add(report.node)
    return [
        Divergence(
            chain, height, {app_hash: tuple(sorted(nodes)) for app_hash, nodes in sorted(hashes.items())}
        )
        for (chain, height), hashes in sorted(seen.items())
        if len(hashes) > 1
    ]


def check_agreement(reports: Iterable[NodeReport]) -> None:
    """Check that no two nodes of a chain state different app hashes at one height.

    Raises:
      AppHashesDiverge: two do.

    """
    divergences = find_divergences(reports)
    if divergences:
        shown = "; ".join(
            f"chain {item.chain} at height {item.height}: "
            + " against ".join(
                f"{app_hash[:16]} of {', '.join(names)}" for app_hash, names in item.nodes_by_hash.items()
            )
            for item in divergences
        )
        raise AppHashesDiverge(f"expected one app hash a chain and height, got {shown}")


async def _collect(nodes: Sequence[NodeHandle]) -> list[NodeReport]:
    reports = await asyncio.gather(*(_report(node) for node in nodes))
    by_node = dict(zip(nodes, reports, strict=True))
    for chain in {node.chain for node in nodes}:
        known = [
            by_node[node].states[0].height for node in nodes if node.chain == chain and by_node[node].states
        ]
        common = min(known, default=0)
        for node in nodes:
            report = by_node[node]
            if (
                node.chain == chain
                and report.answers
                and report.states
                and report.states[0].height > common > 0
            ):
                by_node[node] = await _add_earlier_state(node, report, common)
    return [by_node[node] for node in nodes]


async def _report(node: NodeHandle) -> NodeReport:
    state = read_state(node.home)
    report = NodeReport(node.name, node.chain, state.phase, state.restarts, state.reason, answers=False)
    try:
        async with AsyncCometRpc(node.rpc_url, RPC_TIMEOUT_S) as rpc:
            (status, info), (peers, mempool) = await finish_both(
                finish_both(rpc.status(), rpc.abci_info()), finish_both(rpc.peer_count(), rpc.mempool_size())
            )
    except (EndpointUnreachable, RpcRefused):  # refused: the node has lost its app, and is about to end
        return replace(report, states=_ask_app(node))
    return replace(
        report,
        answers=True,
        height=status.height,
        block_age_s=max(0.0, (time.time_ns() - status.block_time_ns) / _NANOSECONDS),
        catching_up=status.catching_up,
        peers=peers,
        mempool_txs=mempool.txs,
        states=(Observation(info.height, info.app_hash.hex()),) if info.height else (),
    )


async def _add_earlier_state(node: NodeHandle, report: NodeReport, height: int) -> NodeReport:
    """Add what the node's chain says of the state after an earlier height: it is in the header that follows."""
    try:
        async with AsyncCometRpc(node.rpc_url, RPC_TIMEOUT_S) as rpc:
            header = await rpc.header(height + 1)
    except (EndpointUnreachable, HeightUnavailable):
        return report
    return replace(report, states=(*report.states, Observation(height, header.app_hash.hex())))


def _ask_app(node: NodeHandle) -> tuple[Observation, ...]:
    """Ask the app itself, where CometBFT does not answer: after a divergence only the app does."""
    if node.config.grpc is None or not accepts_tcp(node.config.grpc):
        return ()
    connection = ChainConnection([node.grpc_address], RPC_TIMEOUT_S)
    try:
        answer = connection.call(
            lambda channel: query_pb2_grpc.NodeServiceStub(channel).GetStatus(
                query_pb2.GetStatusRequest(), timeout=RPC_TIMEOUT_S
            )
        )
    except NodeError:
        return ()
    finally:
        connection.close()
    return (Observation(answer.height, answer.app_hash.hex()),) if answer.height else ()
