"""Processes that a test starts and that end with it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.abci import AbciClient
from tests.support.tools import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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

    return eventually(look, f"a server at {address}")
