"""A relayer of 64 shards: how soon it relays, and what it needs while 100,000 packets are open.

The chains are played by one process (`bench.played.network`): real apps, stores, services and RPC, without
65 engines that two cores could not run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from abci_app.process import spawn
from abci_app.supervisor import child_environment, read_tail
from bench.children import end_child
from bench.errors import NetworkStalled
from bench.figures import Aim, Line, Relation, summarise
from bench.usage import measure_usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.context import BenchContext

ROW: Final = "relay-64"
SHARDS: Final = 64
PATIENCE_S: Final = 900.0
POLL_S: Final = 0.05
WATCH_S: Final = 180.0
"""How long memory is looked at: until long after the first packets are acknowledged, which takes more than the start."""

START_AIM: Final = Aim(Relation.AT_MOST, 5, of_ratio=False)
MEMORY_AIM: Final = Aim(Relation.AT_MOST, 150, of_ratio=False)


def run(context: BenchContext) -> list[Line]:
    """Measure the start with a packet for each shard, then memory with many packets open."""
    directory = context.fresh_directory(ROW)
    pending, starts = context.choose(100_000, 10_000), context.choose(3, 1)
    first, last, peak = [], [], 0.0
    with _running_network(directory) as network:
        for number in range(starts):
            context.say(f"{ROW}: start {number + 1} with {SHARDS} shards")
            _send(network, SHARDS)
            seconds = _time_start(directory, number)
            first.append(seconds[0])
            last.append(seconds[-1])
        context.say(f"{ROW}: {pending:,} open packets")
        _send(network, pending)
        peak = _watch_memory(directory, context.choose(int(WATCH_S), 20))
    return [
        Line(
            ROW,
            f"start to the first packet received, {SHARDS} shards",
            summarise(first, "s"),
            aim=START_AIM,
            notes=(f"one packet waits for each shard; the last one is received after {max(last):.1f} s",),
        ),
        Line(
            ROW,
            f"memory with {pending:,} open packets, {SHARDS} shards",
            summarise([peak], "MiB"),
            aim=MEMORY_AIM,
            notes=("the largest of samples while they are relayed",),
        ),
    ]


@contextmanager
def _running_network(directory: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.played.network", str(directory), str(SHARDS)]
    with (directory / "network.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=child_environment(),
        )
    try:
        _await_line(process, directory)
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_line(process: subprocess.Popen[str], directory: Path) -> None:
    """Wait until the network has done what it was told.

    Raises:
      NetworkStalled: it ended.

    """
    if process.stdout is None or not process.stdout.readline():
        raise NetworkStalled(f"expected the chains to run, got:\n{read_tail(directory / 'network.log')}")


def _send(network: subprocess.Popen[str], count: int) -> None:
    if network.stdin is None or network.stdout is None:
        raise NetworkStalled("expected pipes to the chains, got none")
    network.stdin.write(f"{count}\n")
    network.stdin.flush()
    if not network.stdout.readline():
        raise NetworkStalled("expected the chains to run on, they have ended")


@contextmanager
def _running_relayer(directory: Path, log: Path) -> Iterator[int]:
    config = directory / "relayer.toml"
    arguments = ["-m", "cli.main", "relayer", "start", "--config", str(config)]
    process = spawn([sys.executable, *arguments], child_environment(), log)
    try:
        yield process.pid
    finally:
        end_child(process)


def _time_start(directory: Path, number: int) -> list[float]:
    """Return after how many seconds each of the waiting packets was received, in order.

    Raises:
      NetworkStalled: it takes too long.

    """
    log = directory / f"start-{number}.log"
    begin = time.time()
    with _running_relayer(directory, log):
        while True:
            received = _read_seconds(log, "committed", begin)
            if len(received) >= SHARDS and len(_read_seconds(log, "acknowledged", begin)) >= SHARDS:
                return received
            if time.time() - begin > PATIENCE_S:
                raise NetworkStalled(f"expected {SHARDS} packets to end, got {len(received)} received")
            time.sleep(POLL_S)


def _read_seconds(log: Path, stage: str, begin: float) -> list[float]:
    """Return when packets reached a stage, by the log's own clock."""
    return [
        _log_time(json.loads(line)["timestamp"]) - begin
        for line in log.read_text(encoding="utf-8").splitlines()
        if f'"{stage}"' in line and line.endswith("}")
    ]


def _log_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _watch_memory(directory: Path, seconds: int) -> float:
    """Return the largest resident memory of a relayer that has much to do."""
    peak, begin = 0.0, time.monotonic()
    with _running_relayer(directory, directory / "pending.log") as pid:
        while time.monotonic() - begin < seconds:
            peak = max(peak, measure_usage({"relayer": [pid]})["relayer"].largest_mib)
            time.sleep(POLL_S)
    return peak
