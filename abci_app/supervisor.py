"""Run nodes: start the processes that `lifecycle` asks for, watch them, and end them.

One supervisor can run one node (`gradchain node start`) or all nodes of a localnet; it has one thread, sleeps until
a child ends, a signal arrives or a deadline passes, and imports little, because it lives beside every node.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from abci_app.comet_binary import REPOSITORY_ROOT, CometBinary, require_cometbft
from abci_app.comet_home import remove_unborn_databases
from abci_app.errors import CrashLoop
from abci_app.lifecycle import (
    AppReady,
    Exited,
    Kill,
    LifeAction,
    LifeEvent,
    LifePolicy,
    NodeMachine,
    Phase,
    Spawn,
    StartRequested,
    StopRequested,
    Terminate,
    Ticked,
    describe_status,
)
from abci_app.nodehome import (
    NodeConfig,
    NodeHome,
    ProcessKind,
    load_config,
    lock_home,
    prepare_socket,
    release_socket,
)
from abci_app.nodestate import publish_state
from abci_app.probe import accepts_tcp, accepts_unix, check_ports_free
from abci_app.process import identify, send_group_signal, spawn, write_pid_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from abci_app.nursery import Child, Launcher

PROBE_INTERVAL_S: Final = 0.02
"""Pause between two looks at an app that is starting."""

IDLE_INTERVAL_S: Final = 1.0
"""Longest sleep: a child's end and signals wake the supervisor, this is for what neither announces."""

LOG_ROTATE_BYTES: Final = 64 * 1024 * 1024
"""A log above this size is set aside (as `.1`) when its process starts."""

PROCESS_KINDS: Final[tuple[ProcessKind, ProcessKind]] = ("app", "comet")

ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Linear algebra in an app gains nothing from threads that compete with CometBFT for the cores."""


@dataclass(slots=True)
class NodeRunner:
    """One node: its machine and its processes."""

    home: NodeHome
    config: NodeConfig
    binary: CometBinary
    machine: NodeMachine
    launch_app: Launcher
    """How the app is started; CometBFT is always executed."""
    children: dict[ProcessKind, Child] = field(default_factory=dict)

    def step(self, now: float) -> None:
        """Look at the node once and do what its machine wants."""
        for kind, child in list(self.children.items()):
            status = child.poll()
            if status is not None:
                del self.children[kind]
                self.home.pid_file(kind).unlink(missing_ok=True)
                self.log(f"{kind} {child.pid} ended: {describe_status(status)}")
                self.handle(Exited(kind, status), now)
        if self.machine.phase is Phase.APP_STARTING and self._is_app_ready():
            self.handle(AppReady(), now)
        self.handle(Ticked(), now)

    def handle(self, event: LifeEvent, now: float) -> None:
        """Pass an event to the machine and carry out its actions."""
        before = (self.machine.phase, self.machine.restarts)
        for action in self.machine.handle(event, now):
            self._carry_out(action)
        if (self.machine.phase, self.machine.restarts) != before:
            self._publish()

    def end(self) -> None:
        """End what is left of both processes at once, and remove what only a running node has."""
        for child in self.children.values():
            send_group_signal(child.pid, signal.SIGKILL)
        for kind, child in self.children.items():
            child.wait()
            self.home.pid_file(kind).unlink(missing_ok=True)
        self.children.clear()
        release_socket(self.config)

    def log(self, text: str) -> None:
        """Append a line to supervisor.log."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.home.log_file("supervisor").open("a") as file:
            file.write(f"{stamp} {text}\n")

    def _carry_out(self, action: LifeAction) -> None:
        match action:
            case Spawn(kind):
                self._spawn(kind)
            case Terminate(kind):
                # Only the process itself: it ends its own children as it sees fit.
                self.children[kind].send_signal(signal.SIGTERM)
            case Kill(kind):
                self.log(f"{kind} did not end in time and is killed")
                send_group_signal(self.children[kind].pid, signal.SIGKILL)

    def _spawn(self, kind: ProcessKind) -> None:
        if kind == "app":
            prepare_socket(self.config)
            # A socket of an earlier life would look like a listening app until someone connects.
            self.config.socket_path.unlink(missing_ok=True)
        else:
            for name in remove_unborn_databases(self.home.path):
                self.log(f"{name} was removed: its creation had been cut short")
        log = self.home.log_file(kind)
        rotate_log(log)
        if kind == "app":
            child = self.launch_app(app_command(self.home, self.config), log)
        else:
            child = execute([str(self.binary.path), "start", "--home", str(self.home.path)], log)
        self.children[kind] = child
        process = identify(child.pid)
        if process is not None:
            write_pid_file(self.home.pid_file(kind), process)
        self.log(f"{kind} {child.pid} started")

    def _is_app_ready(self) -> bool:
        if not accepts_unix(self.config.socket_path):
            return False
        return self.config.grpc is None or accepts_tcp(self.config.grpc)

    def _publish(self) -> None:
        """Say in run/state.json how the node does; `status` reads it."""
        if self.machine.reason and self.machine.phase in {Phase.PAUSING, Phase.GIVEN_UP}:
            self.log(f"{self.machine.phase}: {self.machine.reason}")
        publish_state(self.home, self.machine)


class Supervisor:
    """Runs nodes until it is told to stop by SIGTERM or SIGINT; a second signal ends everything at once.

    SIGUSR1 makes it look at the hold files again: a node with one is kept stopped.
    """

    def __init__(
        self,
        runners: Sequence[NodeRunner],
        clock: Callable[[], float] = time.monotonic,
        list_sockets: Callable[[], Sequence[socket.socket]] = tuple,
    ) -> None:
        """Prepare to run nodes; `list_sockets` are further sockets that wake the supervisor."""
        self._runners = tuple(runners)
        self._list_sockets = list_sockets
        self._clock = clock
        self._stop_signals = 0
        self._look_at_holds = True

    def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Run until stopped, or until every node has been given up.

        Raises:
          CrashLoop: every node died again and again.

        """
        with _wake_on_signals(self._note_signal) as wake:
            try:
                self._loop(wake, on_started)
            finally:
                for runner in self._runners:
                    runner.end()

    def _note_signal(self, number: int) -> None:
        if number == signal.SIGUSR1:
            self._look_at_holds = True
        elif number != signal.SIGCHLD:
            self._stop_signals += 1

    def _loop(self, wake: socket.socket, on_started: Callable[[], None] | None) -> None:
        while True:
            now = self._clock()
            if self._look_at_holds:
                self._look_at_holds = False
                for runner in self._runners:
                    held = runner.home.hold_file.exists()
                    runner.handle(StopRequested() if held else StartRequested(), now)
            if on_started is not None:
                on_started()
                on_started = None
            if self._stop_signals == 1:
                for runner in self._runners:
                    runner.handle(StopRequested(), now)
            for runner in self._runners:
                runner.step(now)
            if self._stop_signals > 1 or self._is_over():
                return
            self._sleep(wake)

    def _is_over(self) -> bool:
        phases = [runner.machine.phase for runner in self._runners]
        if self._stop_signals:
            return all(phase is Phase.IDLE for phase in phases)
        if all(phase is Phase.GIVEN_UP for phase in phases):
            raise CrashLoop("; ".join(_explain_failure(runner) for runner in self._runners))
        return False

    def _sleep(self, wake: socket.socket) -> None:
        now = self._clock()
        pause = IDLE_INTERVAL_S
        for runner in self._runners:
            if runner.machine.phase is Phase.APP_STARTING:
                pause = min(pause, PROBE_INTERVAL_S)
            if runner.machine.deadline is not None:
                pause = min(pause, max(0.0, runner.machine.deadline - now))
        readable, _, _ = select.select([wake, *self._list_sockets()], [], [], pause)
        if wake in readable:
            wake.recv(4096)


def run_node(
    home: NodeHome, policy: LifePolicy | None = None, on_started: Callable[[], None] | None = None
) -> None:
    """Run one node in the foreground until it is stopped.

    Raises:
      HomeMissing: there is no home.
      HomeInvalid: its files are not right.
      CometMissing: there is no `cometbft`.
      CometUnsupported: it is of another release line.
      NodeRunning: a node runs on the home.
      PortInUse: something else listens on one of its ports.
      CrashLoop: it died again and again.

    """
    with ExitStack() as stack:
        runner = prepare_node(home, require_cometbft(), policy or LifePolicy(), stack)
        home.hold_file.unlink(missing_ok=True)
        Supervisor([runner]).run(on_started)


def prepare_node(
    home: NodeHome,
    binary: CometBinary,
    policy: LifePolicy,
    stack: ExitStack,
    launch_app: Launcher | None = None,
) -> NodeRunner:
    """Check all that can be checked before a node starts, and take its lock for as long as the stack lives.

    Raises: as `run_node`.
    """
    config = load_config(home)
    stack.enter_context(lock_home(home))
    check_ports_free(config)
    return NodeRunner(home, config, binary, NodeMachine(policy), launch_app or execute)


def execute(command: Sequence[str], log: Path) -> Child:
    """Start a program as a child of this process."""
    return spawn(command, child_environment(), log)


def app_command(home: NodeHome, config: NodeConfig) -> list[str]:
    """Return the command line of a node's app."""
    if config.app:
        return [sys.executable, "-m", config.app, "--home", str(home.path)]
    if config.kind == "kvstore":
        module = [sys.executable, "-m", "abci_app.examples.kvstore"]
        return [*module, "--address", config.abci, "--home", str(home.app_directory)]
    return [sys.executable, "-m", "cli.main", "node", "app", "--home", str(home.path)]


def child_environment() -> Mapping[str, str]:
    """Return the environment of a node's processes."""
    paths = [str(REPOSITORY_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # Unbuffered: the last lines before a crash are the ones that matter.
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def rotate_log(path: Path) -> None:
    """Set a log aside that has grown large."""
    if path.exists() and path.stat().st_size > LOG_ROTATE_BYTES:
        path.replace(path.with_suffix(".log.1"))


def read_tail(path: Path, lines: int = 5) -> str:
    """Return the last lines of a log."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])


def _explain_failure(runner: NodeRunner) -> str:
    tails = {kind: read_tail(runner.home.log_file(kind)) for kind in PROCESS_KINDS}
    ends = "".join(f"\nend of {kind}.log:\n{tail}" for kind, tail in tails.items() if tail)
    return f"expected {runner.config.name} to keep running, got: {runner.machine.reason}{ends}"


@contextmanager
def _wake_on_signals(note: Callable[[int], None]) -> Iterator[socket.socket]:
    """Yield a socket that becomes readable with every signal, and note each; restore all handlers afterwards."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    earlier = {number: signal.getsignal(number) for number in numbers}
    earlier_wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        for number in numbers:
            signal.signal(number, lambda received, _frame: note(received))
        yield reader
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(earlier_wakeup)
        reader.close()
        writer.close()
