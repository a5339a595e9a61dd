"""Start many Python programs from one process that has done their imports already.

A node's app spends a second of processor time on imports before it does anything, and a localnet has a dozen.  So
its supervisor keeps a **nursery**: a Python process that imports what apps need and then forks one for each request.
A child runs `python -m MODULE ARGUMENTS` to the letter, only sooner, and shares the memory of what was imported.

Children are the nursery's, not the supervisor's, so the nursery reports how each ended.  If it dies, they die.  All
children of a nursery share its seed of string hashes; a localnet uses more than one nursery, so that validators of a
chain still differ in the order of their sets, and a chain app that depends on it is found out.

Forking is safe here because nothing that is imported starts threads; servers and channels are made by the children.
Only Linux is served: elsewhere system libraries do not survive a fork.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from abci_app.bound import bound_command
from abci_app.errors import NurseryFailed
from abci_app.process import die_with_parent, send_group_signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import FrameType

START_S: Final = 120.0
"""Time for the imports of a nursery, on a machine where much starts at once."""

_PACKET_BYTES: Final = 65_536
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_ENDED_WITH_NURSERY: Final = -int(signal.SIGKILL)


class Child(Protocol):
    """A process that was started: what is common to `subprocess.Popen` and `NurseryChild`."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""

    def wait(self) -> int:
        """Wait for the end and return the exit status."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal unless the process has ended."""


class Launcher(Protocol):
    """Starts a program with its output at the end of a log."""

    def __call__(self, command: Sequence[str], log: Path, /) -> Child:
        """Start it."""


class NurseryChild:
    """A process that a nursery started."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self._status is None:
            self._status = self._nursery.take_status(self.pid, timeout_s=0.0)
        return self._status

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        while self._status is None:
            self._status = self._nursery.take_status(self.pid, timeout_s=1.0)
        return self._status

    def send_signal(self, sig: int, /) -> None:
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)


class Nursery:
    """The supervisor's half: sends requests, and collects how children ended."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start the process; it imports the modules while the caller goes on.  Call it from the main thread."""
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._statuses: dict[int, int] = {}
        self.is_open = True
        with log.open("ab") as file, theirs:
            self._process = subprocess.Popen(
                bound_command("abci_app.nursery", [str(theirs.fileno()), *modules]),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
            )

    def launch(self, command: Sequence[str], log: Path) -> Child:
        """Start `[python, "-m", module, *arguments]` with its output at the end of a log.

        Raises:
          NurseryFailed: the nursery ended, or takes too long over its imports.

        """
        request = {"arguments": list(command[2:]), "log": str(log)}
        try:
            self.socket.send(json.dumps(request).encode())
        except OSError as error:
            raise NurseryFailed(f"expected the nursery to take a request, got: {error}") from error
        while self.is_open:
            packet = self._receive(START_S)
            if packet is None:
                break
            if "started" in packet:
                return NurseryChild(self, packet["started"])
        raise NurseryFailed(f"expected the nursery to start {command[2]}, got nothing")

    def take_status(self, pid: int, timeout_s: float) -> int | None:
        """Return how a child ended, or None if it has not within the time."""
        while pid not in self._statuses and self.is_open and self._receive(timeout_s) is not None:
            pass
        if pid in self._statuses:
            return self._statuses.pop(pid)
        return None if self.is_open else _ENDED_WITH_NURSERY

    def close(self) -> None:
        """End the nursery, and with it what it has started."""
        self.socket.close()
        self.is_open = False
        self._process.wait()

    def _receive(self, timeout_s: float) -> dict[str, int] | None:
        """Take a packet in; None if there is none in time."""
        readable, _, _ = select.select([self.socket], [], [], timeout_s)
        if not readable:
            return None
        try:
            data = self.socket.recv(_PACKET_BYTES)
        except OSError:
            data = b""
        if not data:
            self.is_open = False
            return None
        packet: dict[str, int] = json.loads(data)
        if "ended" in packet:
            self._statuses[packet["ended"]] = packet["status"]
        return packet


class NurseryPool:
    """Some nurseries, with a launcher for each node; one that died is replaced."""

    def __init__(self, count: int, modules: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start them all, so that they import at the same time."""
        self._modules = tuple(modules)
        self._environment = environment
        self._log = log
        self._nurseries = [self._make() for _ in range(count)]

    def _make(self) -> Nursery:
        return Nursery(self._modules, self._environment, self._log)

    def launcher(self, index: int) -> Launcher:
        """Return what starts programs from one of the nurseries, the same for the same index."""
        place = index % len(self._nurseries)

        def launch(command: Sequence[str], log: Path) -> Child:
            if not self._nurseries[place].is_open:
                self._nurseries[place].close()
                self._nurseries[place] = self._make()
            return self._nurseries[place].launch(command, log)

        return launch

    def list_sockets(self) -> list[socket.socket]:
        """Return the sockets that become readable when a child has ended."""
        return [nursery.socket for nursery in self._nurseries if nursery.is_open]

    def close(self) -> None:
        """End all nurseries."""
        for nursery in self._nurseries:
            nursery.close()


@dataclass(slots=True)
class _Server:
    """The nursery's own half."""

    control: socket.socket
    wake_receiver: socket.socket
    wake_sender: socket.socket

    def serve(self) -> None:
        """Fork for every request until the supervisor is gone; then end what is left."""
        children: set[int] = set()
        while True:
            readable, _, _ = select.select([self.control, self.wake_receiver], [], [])
            if self.wake_receiver in readable:
                self.wake_receiver.recv(4_096)
                self._report_ended(children)
            if self.control in readable:
                data = self.control.recv(_PACKET_BYTES)
                if not data:
                    break
                children.add(self._start(data))
        for pid in children:
            send_group_signal(pid, signal.SIGKILL)

    def _start(self, data: bytes) -> int:
        request = json.loads(data)
        # What comes before the child has handlers of its own waits: the nursery's would drop it.
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._become(request["arguments"], Path(request["log"]), earlier)
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
        # The child does so too; whoever is first, the group exists before anyone hears of the child.
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        self.control.send(json.dumps({"started": pid}).encode())
        return pid

    def _report_ended(self, children: set[int]) -> None:
        for pid in sorted(children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                children.discard(pid)
                packet = {"ended": pid, "status": os.waitstatus_to_exitcode(status)}
                self.control.send(json.dumps(packet).encode())

    def _become(self, arguments: Sequence[str], log: Path, mask: Iterable[int]) -> NoReturn:
        """Turn this fork into the program that was asked for; `mask`: the signals that stay blocked."""
        status = 1
        try:
            os.setpgid(0, 0)
            die_with_parent()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for end in (self.control, self.wake_receiver, self.wake_sender):
                end.close()
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(descriptor, sys.stdout.fileno())
            os.dup2(descriptor, sys.stderr.fileno())
            os.close(descriptor)
            status = _run_module(arguments, mask)
        finally:
            # Never back into the loop of the nursery, whatever happened.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def _run_module(arguments: Sequence[str], mask: Iterable[int]) -> int:
    """Run `python -m` with these arguments and return its exit status; signals are taken from now on."""
    sys.argv = list(arguments)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201  # as the interpreter does
        return 1
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def main(arguments: Sequence[str]) -> None:
    """Import the modules and serve the socket that was handed down."""
    control = socket.socket(fileno=int(arguments[0]))
    gc.disable()
    for module in arguments[1:]:
        import_module(module)
    # What has been imported is never looked at again, so its memory stays shared.
    gc.collect()
    gc.freeze()
    gc.enable()
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)

    def note(_number: int, _frame: FrameType | None) -> None:
        """The byte that the wake-up socket gets says it all."""

    signal.signal(signal.SIGCHLD, note)
    # The supervisor decides when the nursery ends: it closes the socket, or dies.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    _Server(control, receiver, sender).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
