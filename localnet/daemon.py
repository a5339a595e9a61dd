"""The one process that supervises all nodes of a localnet: `python -m localnet.daemon DIRECTORY [--detach]`.

One for all instead of one a node: with a dozen nodes that saves a dozen interpreters, and the same code runs a
single node elsewhere.  Apps come from nurseries, which saves most of the time until they answer.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from abci_app.comet_binary import require_cometbft
from abci_app.lifecycle import LifePolicy
from abci_app.nodehome import NodeHome, load_config, lock_home
from abci_app.nursery import NurseryPool
from abci_app.process import identify, read_pid_file, write_pid_file
from abci_app.supervisor import Supervisor, child_environment, prepare_node
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abci_app.nodehome import NodeKind

PID_FILE: Final = "supervisor"
_POLL_S: Final = 0.02

NURSERIES: Final = 2
"""Enough to have different seeds of string hashes in every chain; each takes the memory of one app."""

_APP: Final = ("cli.nodes", "cli.node_app")
PRELOADED: Final[Mapping[NodeKind, tuple[str, ...]]] = {
    "hub": (*_APP, "hub.app", "hub.service"),
    "shard": (*_APP, "shards.app", "shards.service"),
    "kvstore": ("abci_app.server", "abci_app.examples.kvstore_state", "abci_app.examples.kvstore_storage"),
}
"""What an app imports, but for the module that is run: that one must be fresh."""


def run_daemon(directory: Path) -> None:
    """Supervise the nodes of a localnet until stopped.

    Raises: as `abci_app.supervisor.run_node`, for any of the nodes.
    """
    own = NodeHome(directory)
    homes = [NodeHome(path) for path in sorted((directory / "nodes").iterdir())]
    binary = require_cometbft()
    with ExitStack() as stack:
        stack.enter_context(lock_home(own))
        pool = _open_pool(homes, own, stack)
        runners = [
            prepare_node(home, binary, LifePolicy(), stack, pool.launcher(index) if pool else None)
            for index, home in enumerate(homes)
        ]
        pid_file = own.pid_file(PID_FILE)

        def announce() -> None:
            process = identify(os.getpid())
            if process is not None:
                write_pid_file(pid_file, process)

        try:
            Supervisor(runners, list_sockets=pool.list_sockets if pool else tuple).run(announce)
        finally:
            pid_file.unlink(missing_ok=True)


def _open_pool(homes: Sequence[NodeHome], own: NodeHome, stack: ExitStack) -> NurseryPool | None:
    """Return nurseries that suit the nodes, closed with the stack; None where there are none."""
    if sys.platform != "linux":
        return None
    kinds = {load_config(home).kind for home in homes}
    modules = [module for kind in sorted(kinds) for module in PRELOADED[kind]]
    pool = NurseryPool(min(NURSERIES, len(homes)), modules, child_environment(), own.log_file("supervisor"))
    stack.callback(pool.close)
    return pool


def main(arguments: list[str]) -> int:
    """Run, in a process of its own if asked to, and return the exit status."""
    directory = Path(arguments[0])
    if "--detach" in arguments:
        child = os.fork()
        if child:
            # The caller waits for this process only, so it is not left with a child that it must wait for.
            os._exit(_await_announcement(child, NodeHome(directory)))
        os.setsid()
    try:
        run_daemon(directory)
    except AppError as error:
        sys.stderr.write(f"{error}\ncure: {error.CURE}\n")
        return 1
    return 0


def _await_announcement(child: int, own: NodeHome) -> int:
    """Wait until the child supervises, or has ended; return the exit status, which is 0 if it supervises."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) or 1
        announced = read_pid_file(own.pid_file(PID_FILE))
        if announced is not None and announced.pid == child:
            return 0
        time.sleep(_POLL_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
