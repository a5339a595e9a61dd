"""A local network on disk and, while it runs, in processes: the handle that demo, tests and commands use.

```
DIRECTORY/localnet.json   the manifest it was made from
DIRECTORY/keys            key files of the accounts
DIRECTORY/nodes/NAME      homes of the nodes
DIRECTORY/relayer         configuration and journal of the relayer
DIRECTORY/run, logs       of the one supervisor
```
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Literal

from abci_app.bound import bound_command
from abci_app.comet_binary import require_cometbft
from abci_app.keyfile import load_key
from abci_app.nodehome import NodeHome, release_socket
from abci_app.probe import check_ports_free
from abci_app.process import (
    is_alive,
    read_pid_file,
    send_group_signal,
    send_signal,
)
from abci_app.supervisor import PROCESS_KINDS, child_environment, read_tail
from localnet.daemon import PID_FILE
from localnet.errors import (
    LocalnetMissing,
    ManifestChanged,
    NotRunning,
    StartFailed,
    StillRunning,
    UnknownNode,
)
from localnet.homes import (
    build_genesis,
    key_file,
    list_accounts,
    wipe_node,
    write_account_keys,
    write_node_homes,
)
from localnet.manifest import Manifest, manifest_values, parse_manifest
from localnet.nodes import load_chains
from localnet.processes import list_processes
from localnet.readiness import has_blocks, has_services, wait_for_nodes
from localnet.relay import forget_relayed
from localnet.stages import Stage, run_stages
from tx.keys import format_address

if TYPE_CHECKING:
    from pathlib import Path

    from abci_app.process import ProcessId
    from localnet.nodes import ChainHandle, NodeHandle
    from localnet.processes import ProcessUsage
    from localnet.stages import StageDone, StageReport
    from tx.keys import SigningKey

RECORD_FILE: Final = "localnet.json"
SUPERVISOR_START_S: Final = 120.0
SUPERVISOR_STOP_S: Final = 40.0
READY_S: Final = 120.0
_POLL_S: Final = 0.02


class Localnet:
    """A local network.  Use `create` or `open`."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory = directory
        self.manifest = manifest
        self.chains: dict[str, ChainHandle] = load_chains(directory, manifest)
        self._own = NodeHome(directory)
        self._child: subprocess.Popen[bytes] | None = None

    # --- on disk -----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, manifest: Manifest, directory: Path) -> Localnet:
        """Make a localnet, or open the one in the directory if it was made from the same manifest.

        Raises:
          ManifestChanged: it was made from another one.
          NoFreePorts: there are too few ports.

        """
        directory = directory.absolute()
        if cls.exists(directory):
            return cls._open_same(manifest, directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("run", "logs"):
            (directory / name).mkdir(exist_ok=True)
        write_account_keys(directory, manifest)
        write_node_homes(directory, manifest, int(time.time()))
        # Last: a directory with this file is complete.
        (directory / RECORD_FILE).write_text(
            json.dumps({"manifest": manifest_values(manifest)}, indent=2) + "\n"
        )
        return cls(directory, manifest)

    @staticmethod
    def exists(directory: Path) -> bool:
        """Tell whether there is a localnet in a directory."""
        return (directory / RECORD_FILE).exists()

    @classmethod
    def _open_same(cls, manifest: Manifest, directory: Path) -> Localnet:
        localnet = cls.open(directory)
        if localnet.manifest != manifest:
            raise ManifestChanged(
                f"expected the localnet of manifest {manifest.name!r} in {directory}, got one of "
                f"{localnet.manifest.name!r} with other content"
            )
        return localnet

    @classmethod
    def open(cls, directory: Path) -> Localnet:
        """Open a localnet that was made before.

        Raises:
          LocalnetMissing: there is none.

        """
        directory = directory.absolute()
        try:
            record = json.loads((directory / RECORD_FILE).read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise LocalnetMissing(f"expected a localnet in {directory}, got none") from None
        return cls(directory, parse_manifest(record["manifest"], str(directory / RECORD_FILE)))

    @property
    def nodes(self) -> tuple[NodeHandle, ...]:
        """All nodes, in the order of the manifest."""
        return tuple(node for chain in self.chains.values() for node in chain.nodes)

    def node(self, name: str) -> NodeHandle:
        """Return a node by its name, such as `hub.0`.

        Raises:
          UnknownNode: there is none.

        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise UnknownNode(f"expected a node of {', '.join(node.name for node in self.nodes)}, got {name!r}")

    def key_path(self, account: str) -> Path:
        """Return the key file of an account.

        Raises:
          UnknownNode: the manifest has no such account.

        """
        names = list_accounts(self.manifest)
        if account not in names:
            raise UnknownNode(f"expected an account of {', '.join(names)}, got {account!r}")
        return key_file(self.directory, account)

    def key(self, account: str) -> SigningKey:
        """Return the key of an account.

        Raises:
          UnknownNode: the manifest has no such account.

        """
        return load_key(self.key_path(account))

    def address(self, account: str) -> str:
        """Return the address of an account.

        Raises:
          UnknownNode: the manifest has no such account.

        """
        return format_address(self.key(account).public_key)

    def reset(self) -> None:
        """Go back to before the first block: engine and app of all nodes together.  Keys and ports stay.

        Raises:
          StillRunning: the localnet runs.

        """
        self._require_stopped()
        time_s = int(time.time())
        for chain in self.manifest.chains:
            genesis = build_genesis(self.manifest, chain, time_s)
            for node in self.chains[chain.name].nodes:
                wipe_node(node.home, genesis)
        forget_relayed(self.directory)

    def remove(self) -> None:
        """Delete the localnet, keys included.

        Raises:
          StillRunning: it runs.

        """
        self._require_stopped()
        for node in self.nodes:
            release_socket(node.config)
        shutil.rmtree(self.directory)

    def _require_stopped(self) -> None:
        if self.is_running:
            raise StillRunning(f"expected the localnet in {self.directory} to be stopped, got a running one")

    # --- running -----------------------------------------------------------------------------------------------

    @property
    def supervisor(self) -> ProcessId | None:
        """The process that supervises all nodes, if it runs."""
        return read_pid_file(self._own.pid_file(PID_FILE))

    @property
    def is_running(self) -> bool:
        """Whether the supervisor runs."""
        return self.supervisor is not None

    def start(self, *, detach: bool = True) -> None:
        """Start the supervisor, which starts all nodes, held ones too; does nothing if it runs.

        `detach`: the localnet outlives the caller.  Otherwise it ends with it, however that comes about.

        Raises:
          CometMissing, CometUnsupported: there is no `cometbft` that can be used.
          PortInUse: something else listens on a port of a node.
          StartFailed: the supervisor ended.

        """
        if self.is_running:
            return
        require_cometbft()
        for node in self.nodes:
            check_ports_free(node.config)
            node.home.hold_file.unlink(missing_ok=True)
        log = self._own.log_file("supervisor")
        log.parent.mkdir(exist_ok=True)
        arguments = [str(self.directory)]
        with log.open("ab") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", "localnet.daemon", *arguments, "--detach"]
                if detach
                else bound_command("localnet.daemon", arguments),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                process_group=None if detach else 0,
            )
        if not detach:
            self._child = child
        self._await_supervisor(child, log)

    def _await_supervisor(self, child: subprocess.Popen[bytes], log: Path) -> None:
        """Wait until the supervisor has said that it runs; a detached one is awaited by the child that detached it."""
        deadline = time.monotonic() + SUPERVISOR_START_S
        while child.poll() is None and not self.is_running and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if not self.is_running:
            child.kill()
            child.wait()
            raise StartFailed(f"expected the supervisor to start, got:\n{read_tail(log)}")
        if self._child is None:
            child.wait()

    def wait_ready(self, timeout_s: float = READY_S, report: StageReport | None = None) -> list[StageDone]:
        """Wait until every node has services and a block, and return how long each step took.

        Raises:
          StartFailed: a node was given up, or the supervisor ended.
          NotReady: it took too long.

        """
        deadline = time.monotonic() + timeout_s

        def wait(what: str, is_ready: Literal["services", "blocks"]) -> None:
            probe = has_services if is_ready == "services" else lambda node: has_blocks(node, 1)
            wait_for_nodes(self.nodes, probe, what, deadline, lambda: self.is_running)

        stages = (
            Stage("apps answer", lambda: wait("services", "services")),
            Stage("chains make blocks", lambda: wait("a first block", "blocks")),
        )
        return run_stages(stages, report)

    def stop(self, timeout_s: float = SUPERVISOR_STOP_S) -> None:
        """Stop everything that was started here; does nothing if nothing runs."""
        supervisor = self.supervisor
        if supervisor is not None:
            send_signal(supervisor, signal.SIGTERM)
            deadline = time.monotonic() + timeout_s
            while is_alive(supervisor) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            send_signal(supervisor, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()
            self._child = None
        self._sweep()

    def _sweep(self) -> None:
        """End what a supervisor that was killed may have left, where the kernel does not do it."""
        for node in self.nodes:
            for kind in PROCESS_KINDS:
                process = read_pid_file(node.home.pid_file(kind))
                if process is not None:
                    send_group_signal(process.pid, signal.SIGKILL)
            release_socket(node.config)
        self._own.pid_file(PID_FILE).unlink(missing_ok=True)

    # --- faults ------------------------------------------------------------------------------------------------

    def kill(
        self,
        node: str,
        process: Literal["app", "comet", "both"] = "both",
        number: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Send a signal to a node's processes.  The supervisor starts what ends again.

        Raises:
          UnknownNode: there is no such node.
          NotRunning: the process does not run.

        """
        handle = self.node(node)
        kinds = PROCESS_KINDS if process == "both" else (process,)
        # All are looked up before the first signal: an engine that loses its app ends by itself at once.
        found = [read_pid_file(handle.home.pid_file(kind)) for kind in kinds]
        targets = [target for target in found if target is not None]
        if len(targets) < len(kinds) or sum(send_signal(target, number) for target in targets) == 0:
            raise NotRunning(f"expected {' and '.join(kinds)} of {node} to run, got {len(targets)} that do")

    def stop_node(self, node: str) -> None:
        """Stop a node, both processes, until `start_node`; returns when it is asked, not when it is down.

        Raises:
          UnknownNode: there is no such node.
          NotRunning: the localnet does not run.

        """
        self.node(node).home.hold_file.touch()
        self._notify()

    def start_node(self, node: str) -> None:
        """Start a node that was stopped or given up.

        Raises:
          UnknownNode: there is no such node.
          NotRunning: the localnet does not run.

        """
        self.node(node).home.hold_file.unlink(missing_ok=True)
        self._notify()

    def _notify(self) -> None:
        supervisor = self.supervisor
        if supervisor is None or not send_signal(supervisor, signal.SIGUSR1):
            raise NotRunning(f"expected the localnet in {self.directory} to run, got nothing")

    def processes(self) -> list[ProcessUsage]:
        """Return all running processes of the localnet with their memory and processor time."""
        return list_processes(self.nodes, self._own.pid_file(PID_FILE))
