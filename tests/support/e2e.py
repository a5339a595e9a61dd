"""The product as its users run it: the command line in processes of its own, and a list of all that these start.

Every process that a test starts bears a mark in its environment, and so does whatever that one starts in turn, however
it is detached.  So what is left behind can be found by process id, and nothing else on the machine is mistaken for it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from tests.support.tools import ROOT, require_tool
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

MARK = "GRADCHAIN_TEST_MARK"
CLEARED = (
    "GRADCHAIN_DEBUG",
    "GRADCHAIN_GENESIS",
    "GRADCHAIN_HUB",
    "GRADCHAIN_KEY",
    "GRADCHAIN_LOCALNET",
    "GRADCHAIN_SHARDS",
)
WAIT_S = 600.0
"""Longest time for one command, after which it hangs."""

LOOK_S = 0.5
"""Pause between two looks at what runs."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    def describe(self) -> str:
        """Return everything, for the message of a test that fails."""
        return f"exit code {self.exit_code}\n{self.stdout[-4000:]}\n{self.stderr[-4000:]}"


@dataclass(frozen=True, slots=True)
class Trail:
    """All processes that a test has started, directly or not."""

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for a process that is to be found again."""
        kept = {name: value for name, value in os.environ.items() if name not in CLEARED}
        return {**kept, MARK: self.mark, "GRADCHAIN_COMETBFT": require_tool("cometbft"), **more}

    def list_processes(self) -> dict[int, str]:
        """Return the command lines of all that run now, by process id."""
        found = {}
        for process in psutil.process_iter():
            line = self.look_at(process)
            if line is not None:
                found[process.pid] = line
        return found

    def look_at(self, process: psutil.Process) -> str | None:
        """Return the command line of a process, or None if it is not of this trail or has ended."""
        try:
            if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                return " ".join(process.cmdline())
        except psutil.Error:
            return None  # it ended meanwhile, or is another user's
        return None

    def wait_for_mark(self, started: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
        """Wait until a process that was started bears the mark, or has ended.

        `Popen` returns when the kernel closes the pipe to the child, which it does a moment before it shows the new
        program's environment: until then the process is on no list.
        """
        process = psutil.Process(started.pid)
        eventually(
            lambda: started.poll() is not None or self.look_at(process) is not None,
            "the mark of what was started",
        )

    def wait_until_gone(self) -> None:
        """Wait until nothing runs any more: what the kernel ends takes a moment."""
        eventually(lambda: None if self.list_processes() else True, "the end of all processes")


@dataclass(frozen=True, slots=True)
class Console:
    """Where a user types commands."""

    home: Path
    """Keys and state of the user."""
    trail: Trail = field(default_factory=Trail)
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the user has exported."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `gradchain` as a terminal does: leading a process group, which gets what is typed as Ctrl-C."""
        return self.start_python("-m", "cli.main", *arguments)

    def start_python(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Python in the same way."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.trail.environment({"GRADCHAIN_HOME": str(self.home), **self.variables}),
            start_new_session=True,
        )

    def run(self, *arguments: str) -> Finished:
        """Run a command to its end."""
        return finish(self.start(*arguments))

    def text(self, *arguments: str) -> str:
        """Run a command that succeeds, and return what it prints for people."""
        done = self.run(*arguments)
        assert (done.exit_code, done.stderr) == (0, ""), done.describe()
        return done.stdout

    def json(self, *arguments: str) -> object:
        """Run a command that succeeds, and return the JSON that it prints."""
        done = self.run(*arguments, "--json")
        assert (done.exit_code, done.stderr) == (0, ""), done.describe()
        return json.loads(done.stdout)

    def view(self, *arguments: str) -> dict[str, object]:
        """Run a command that succeeds, and return the JSON object that it prints."""
        value = self.json(*arguments)
        assert isinstance(value, dict)
        return value

    def fail(self, exit_code: int, *arguments: str) -> str:
        """Run a command that fails with one line of error and its cure, and return that line."""
        done = self.run(*arguments)
        lines = done.stderr.splitlines()
        assert (done.exit_code, done.stdout, [line.partition(":")[0] for line in lines]) == (
            exit_code,
            "",
            ["error", "cure"],
        ), done.describe()
        return lines[0]


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for the end of a command."""
    try:
        stdout, stderr = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.wait()
    return Finished(process.returncode, stdout, stderr)


@contextmanager
def watched(trail: Trail) -> Iterator[dict[int, str]]:
    """Collect all processes that run meanwhile, by process id."""
    seen: dict[int, str] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_S):
            seen.update(trail.list_processes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class DemoRun:
    """A run of `gradchain demo` that has ended."""

    done: Finished
    directory: Path
    seen: Mapping[int, str]
    """All processes that were seen while it ran, by process id."""
    left: Mapping[int, str]
    """Those that still ran after it."""
    report: Mapping[str, object]
    """What it wrote with --json."""

    def section(self, name: str) -> dict[str, object]:
        """Return an object of the report."""
        value = self.report[name]
        assert isinstance(value, dict)
        return value

    def items(self, name: str) -> list[dict[str, object]]:
        """Return a list of the report."""
        value = self.report[name]
        assert isinstance(value, list)
        return value

    @property
    def roots(self) -> list[str]:
        """Root of the model after each round."""
        return [str(row["model_root"]) for row in self.items("rows")]

    @property
    def balances(self) -> dict[str, int]:
        """Balance of each account at the end."""
        return {name: int(str(amount)) for name, amount in self.section("balances_after").items()}


def run_demo(directory: Path, *options: str) -> DemoRun:
    """Run the demo to its end, whatever that is."""
    console = Console(directory / "home")
    report = directory / "report.json"
    with watched(console.trail) as seen:
        done = console.run(
            "demo", "--dir", str(directory / "demo"), "--json", str(report), "--validators", "1", *options
        )
    left = console.trail.list_processes()
    values = json.loads(report.read_text()) if report.exists() else {}
    return DemoRun(done, directory / "demo", seen, left, values)


def require_good(run: DemoRun) -> DemoRun:
    """Check that a demo has succeeded and left nothing behind."""
    assert (run.done.exit_code, run.done.stderr) == (0, ""), run.done.describe()
    assert run.left == {}
    assert run.report["verified"] is True
    return run


def require_kinds(seen: Mapping[int, str], *patterns: str) -> None:
    """Check that processes of all these kinds were seen: else the list of those left would prove nothing."""
    lines = list(seen.values())
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in lines), f"no {pattern} among {lines}"


def read_lines(process: subprocess.Popen[str], until: str) -> Sequence[str]:
    """Read what a process prints until a line begins with a text."""
    lines: list[str] = []
    stream = process.stdout
    assert stream is not None
    for line in stream:
        lines.append(line.rstrip("\n"))
        if line.startswith(until):
            return lines
    raise AssertionError(f"expected a line {until!r}, got the end after {lines}")
