"""The one process that supervises all nodes of a localnet: `python -m localnet.daemon DIRECTORY [--detach]`.

One for all instead of one a node: with a dozen nodes that saves a dozen interpreters, and the same code runs a
single node elsewhere.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from abci_app.comet_binary import require_cometbft
from abci_app.lifecycle import LifePolicy
from abci_app.nodehome import NodeHome, lock_home
from abci_app.process import identify, write_pid_file
from abci_app.supervisor import Supervisor, prepare_node
from tx.errors import AppError

PID_FILE = "supervisor"


def run_daemon(directory: Path) -> None:
    """Supervise the nodes of a localnet until stopped.

    Raises: as `abci_app.supervisor.run_node`, for any of the nodes.
    """
    own = NodeHome(directory)
    homes = [NodeHome(path) for path in sorted((directory / "nodes").iterdir())]
    binary = require_cometbft()
    with ExitStack() as stack:
        stack.enter_context(lock_home(own))
        runners = [prepare_node(home, binary, LifePolicy(), stack) for home in homes]
        pid_file = own.pid_file(PID_FILE)

        def announce() -> None:
            process = identify(os.getpid())
            if process is not None:
                write_pid_file(pid_file, process)

        try:
            Supervisor(runners).run(announce)
        finally:
            pid_file.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Run, in a process of its own if asked to, and return the exit status."""
    if "--detach" in arguments:
        # The caller waits for this process only, so it is not left with a child that it must wait for.
        if os.fork():
            os._exit(0)
        os.setsid()
    try:
        run_daemon(Path(arguments[0]))
    except AppError as error:
        sys.stderr.write(f"{error}\ncure: {error.CURE}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
