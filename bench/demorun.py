"""Runs of the demo, and of the same training without chains, as processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.process import send_group_signal, spawn
from abci_app.supervisor import child_environment, read_tail
from bench.errors import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SEED: Final = 1
PARTICIPANTS: Final = 8
PATIENCE_S: Final = 900.0
STOP_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class KindMemory:
    """Resident memory of the largest process of a kind at its peak."""

    kind: str
    mib: float


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What a run of the demo found out about itself."""

    validators: int
    workers: int
    """Processes over which the participants are spread."""
    round_seconds: tuple[float, ...]
    """Of each round but the first, which begins with the start of the participants."""
    train_seconds: float
    """Mean time to train one update."""
    prepare_seconds: float
    """Mean time to quantise, commit to, sign and store one update."""
    submit_seconds: float
    """Mean time from the submission of an update to its block."""
    memory: tuple[KindMemory, ...]

    @property
    def turns(self) -> int:
        """How many participants of a process train one after the other."""
        return -(-PARTICIPANTS // self.workers)


def run_demo(directory: Path, validators: int, rounds: int) -> DemoRun:
    """Run the demo on two shards with eight participants.

    Raises:
      DemoFailed: it ended with an error.

    """
    result = directory / "result.json"
    options = {
        "--validators": validators,
        "--rounds": rounds,
        "--participants": PARTICIPANTS,
        "--seed": SEED,
        "--dir": directory / "run",
        "--json": result,
    }
    arguments = [str(word) for option in options.items() for word in option]
    run_child(["cli.main", "demo", *arguments], directory / "demo.log")
    return read_result(result.read_text(encoding="utf-8"))


def read_result(text: str) -> DemoRun:
    """Return what the JSON of a demo says about its time and memory."""
    values = json.loads(text)
    timings = values["timings"]
    return DemoRun(
        validators=values["options"]["validators"],
        workers=min(values["options"]["workers"], PARTICIPANTS),
        round_seconds=tuple(row["seconds"] for row in values["rows"][1:]),
        train_seconds=timings["training_per_update"],
        prepare_seconds=timings["preparing_per_update"],
        submit_seconds=timings["submitting_per_update"],
        memory=tuple(KindMemory(kind, mib) for kind, mib in values["memory_peak_mib"].items()),
    )


def run_fedavg(directory: Path, rounds: int) -> float:
    """Return the seconds of a round of federated averaging in one process, on the data of the demo.

    Raises:
      DemoFailed: it ended with an error.

    """
    result = directory / "fedavg.json"
    arguments = [str(PARTICIPANTS), str(rounds), str(SEED), str(result)]
    run_child(["bench.fedavg", *arguments], directory / "fedavg.log")
    seconds: float = json.loads(result.read_text(encoding="utf-8"))["seconds_a_round"]
    return seconds


def run_child(arguments: Sequence[str], log: Path) -> None:
    """Run a module of Python to its end; it ends with us in any case.

    Raises:
      DemoFailed: it ended with an error, or not at all.

    """
    process = spawn([sys.executable, "-m", *arguments], child_environment(), log)
    try:
        status = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"expected {arguments[0]} to end within {PATIENCE_S:g} s, it runs on") from None
    finally:
        end_child(process)
    if status:
        raise DemoFailed(f"{' '.join(arguments[:2])} ended with {status}:\n{read_tail(log)}")


def end_child(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process that still runs, so that it can clean up, and kill it if it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        send_group_signal(process.pid, signal.SIGKILL)
        process.wait()
