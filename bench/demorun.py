"""Runs of the demo, and of the same training without chains, as processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.process import spawn
from abci_app.supervisor import child_environment, read_tail
from bench.children import end_child
from bench.errors import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SEED: Final = 1
PARTICIPANTS: Final = 8
PATIENCE_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class KindMemory:
    """Resident memory of the largest process of a kind at its peak."""

    kind: str
    mib: float


@dataclass(frozen=True, slots=True)
class RoundTimes:
    """Where the time of one round went, in seconds."""

    whole: float
    """From the end of the round before to its own."""
    training: float
    """Of the process that trained longest: participants of one process take turns."""
    preparing: float
    """The same for quantising, committing, signing and storing."""
    submitting: float
    """Mean over the updates, from submission to a block; participants submit side by side."""

    @property
    def rest(self) -> float:
        """Packets, bodies, aggregation, settlement, and looking for the next round."""
        return self.whole - self.training - self.preparing - self.submitting


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What a run of the demo found out about itself."""

    validators: int
    """Of each chain."""
    workers: int
    """Processes over which the participants are spread."""
    rounds: tuple[RoundTimes, ...]
    """All but the first, which begins with the start of the participants."""
    memory: tuple[KindMemory, ...]


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
    workers = min(values["options"]["workers"], PARTICIPANTS)
    return DemoRun(
        validators=values["options"]["validators"],
        workers=workers,
        rounds=tuple(
            split_round(
                row["seconds"],
                [update for update in values["updates"] if update["round"] == row["number"]],
                workers,
            )
            for row in values["rows"][1:]
        ),
        memory=tuple(KindMemory(kind, mib) for kind, mib in values["memory_peak_mib"].items()),
    )


def split_round(whole: float, updates: Sequence[Mapping[str, float]], workers: int) -> RoundTimes:
    """Return where the time of a round went; participant i is in process i modulo `workers`.

    Raises:
      DemoFailed: nobody submitted anything in the round.

    """
    if not updates:
        raise DemoFailed("expected updates in every round of the demo, got none in one")
    training, preparing = [0.0] * workers, [0.0] * workers
    for update in updates:
        worker = int(update["participant"]) % workers
        training[worker] += update["train_seconds"]
        preparing[worker] += update["prepare_seconds"]
    submitting = sum(update["submit_seconds"] for update in updates) / len(updates)
    return RoundTimes(whole, max(training), max(preparing), submitting)


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
