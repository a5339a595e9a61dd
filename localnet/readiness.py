"""Wait until nodes do what they are for: accept connections, answer, and make blocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from abci_app.errors import EndpointUnreachable, RpcRefused
from abci_app.lifecycle import Phase
from abci_app.nodestate import read_state
from abci_app.probe import accepts_tcp
from abci_app.supervisor import read_tail
from localnet.errors import NotReady, StartFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localnet.nodes import NodeHandle

POLL_S: Final = 0.05
RPC_TIMEOUT_S: Final = 10.0


def has_blocks(node: NodeHandle, height: int) -> bool:
    """Tell whether the node answers, keeps up with its chain, and its app has executed a height.

    A node stores a block before its app executes it; until then the app has nothing of it to tell.
    """
    if not accepts_tcp(node.config.rpc):
        return False
    try:
        with node.open_rpc(timeout_s=RPC_TIMEOUT_S) as rpc:
            return rpc.abci_info().height >= height and not rpc.status().catching_up
    except (EndpointUnreachable, RpcRefused):
        return False  # refused: the node has lost its app, and is about to end


def has_services(node: NodeHandle) -> bool:
    """Tell whether the node's gRPC services accept connections."""
    return node.config.grpc is None or accepts_tcp(node.config.grpc)


def wait_for_nodes(
    nodes: Sequence[NodeHandle],
    is_ready: Callable[[NodeHandle], bool],
    what: str,
    deadline: float,
    is_supervised: Callable[[], bool],
) -> None:
    """Wait until all nodes are ready.  The deadline is in seconds of the monotonic clock.

    Raises:
      StartFailed: a node was given up, or the supervisor ended.
      NotReady: the deadline passed.

    """
    waiting = list(nodes)
    while waiting:
        waiting = [node for node in waiting if not is_ready(node)]
        if not waiting:
            return
        for node in waiting:
            _check_not_given_up(node)
        if not is_supervised():
            raise StartFailed(f"expected the supervisor to run until {what}, got its end")
        if time.monotonic() >= deadline:
            raise NotReady(
                f"expected {what} on all nodes, got none from {', '.join(node.name for node in waiting)}"
            )
        time.sleep(POLL_S)


def _check_not_given_up(node: NodeHandle) -> None:
    state = read_state(node.home)
    if state.phase == Phase.GIVEN_UP:
        tails = "".join(
            f"\nend of {kind}.log:\n{read_tail(node.home.log_file(kind))}" for kind in ("app", "comet")
        )
        raise StartFailed(f"expected {node.name} to start, got: {state.reason}{tails}")
