"""Processes that the demo starts beside the localnet: relayer and participants.  None outlives the demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from abci_app.bound import bound_command
from abci_app.supervisor import child_environment
from localnet.errors import ChildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STOP_S: Final = 10.0
TAIL_BYTES: Final = 2_000

Report = dict[str, object]


@dataclass(slots=True)
class Child:
    """A started process."""

    name: str
    kind: str
    process: subprocess.Popen[str]
    log: Path
    reader: threading.Thread | None = None
    expected_to_end: bool = False

    def tail(self) -> str:
        """Return the end of what the process logged."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace")


@dataclass(slots=True)
class Children:
    """All processes of a run; stops them in the reverse order of their start."""

    logs: Path
    started: list[Child] = field(default_factory=list)

    def start(
        self,
        name: str,
        kind: str,
        module: str,
        arguments: Sequence[str],
        on_report: Callable[[Report], None] | None = None,
    ) -> Child:
        """Start `python -m module`; with `on_report` its standard output is read as a JSON object a line."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                bound_command(module, arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_report else file,
                stderr=file,
                text=True,
                env=child_environment(),
                # its own group: Ctrl-C reaches the demo alone, which then stops everything in order
                process_group=0,
            )
        child = Child(name, kind, process, log)
        if on_report is not None:
            child.reader = threading.Thread(target=_read_reports, args=(process, on_report), daemon=True)
            child.reader.start()
        self.started.append(child)
        return child

    def check(self) -> None:
        """Check that nothing ended that should not have.

        Raises:
          ChildFailed: a process ended early or with an error.

        """
        for child in self.started:
            code = child.process.poll()
            if code is None or (code == 0 and child.expected_to_end):
                continue
            raise ChildFailed(f"{child.name} ended with exit status {code}:\n{child.tail()}")

    def resident_mib(self) -> list[tuple[str, float]]:
        """Return kind and resident memory of every running process, in MiB."""
        sizes: list[tuple[str, float]] = []
        for child in self.started:
            if child.process.poll() is None:
                try:
                    size = psutil.Process(child.process.pid).memory_info().rss / 2**20
                except psutil.Error:
                    continue  # it has ended meanwhile
                sizes.append((child.kind, size))
        return sizes

    def stop(self) -> None:
        """Ask every process to end, and end it if it does not."""
        for child in reversed(self.started):
            if child.process.poll() is None:
                os.kill(child.process.pid, signal.SIGTERM)
        for child in reversed(self.started):
            try:
                child.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            if child.reader is not None:
                child.reader.join(STOP_S)
            if child.process.stdout is not None:
                child.process.stdout.close()


def _read_reports(process: subprocess.Popen[str], on_report: Callable[[Report], None]) -> None:
    stream = process.stdout
    if stream is None:
        return
    for line in stream:
        report = json.loads(line)
        if isinstance(report, dict):
            on_report(report)
