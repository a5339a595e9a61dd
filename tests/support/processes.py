"""Processes that a test starts and that end with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from tests.support.abci import AbciClient
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

PATIENCE_S = 120.0
"""How long a test waits for what must come, before it fails."""


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """Return the first result that is not None."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"expected {what} within {PATIENCE_S:g} s")


@contextmanager
def run_process(log: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the root of the repository, with its output in a file, and kill it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(os.environ) | environment,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def python_module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module with the interpreter of the tests."""
    return (sys.executable, "-m", name, *arguments)


def connect_to(address: str, process: subprocess.Popen[bytes]) -> AbciClient:
    """Connect to the ABCI server of a process, as soon as it listens."""

    def look() -> AbciClient | None:
        assert process.poll() is None, "the server ended before it listened"
        try:
            return AbciClient(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return None

    return wait_for(look, f"a server at {address}")


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on at present."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
