"""What somebody does who takes part in a task with nothing but the command line, on any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.cli import Cli

TASK_FILE = """\
name = "by hand"
rounds = 2
round_seconds = {round_seconds}
min_participants = {participants}
budget = 1_000
[[tensors]]
name = "layer.weight"
shape = [4, 3]
[[tensors]]
name = "layer.bias"
shape = [4]
"""


@dataclass(frozen=True, slots=True)
class HandMade:
    """What came of it."""

    task: int
    shards: tuple[str, ...]
    """Of the participants, in their order."""
    updates: tuple[Path, ...]


def create_task(cli: Cli, folder: Path, creator: str, participants: int, round_seconds: int = 60) -> int:
    """Create a task for so many participants, and return its number."""
    path = folder / "task.toml"
    path.write_text(TASK_FILE.format(participants=participants, round_seconds=round_seconds))
    view = cli.json("task", "create", str(path), "--seed", "3", "--key", creator)
    assert view["status"] == "registering"
    return int(str(view["task"]))


def train_by_hand(base: Path, trained: Path, step: float) -> None:
    """Do what stands for training: move every parameter a little."""
    with np.load(base) as stored:
        np.savez(trained, **{name: stored[name] + np.float32(step) for name in stored.files})


def poll_for_round(cli: Cli, task: int) -> None:
    """Wait until the hub of a real network has opened the first round of a task."""
    eventually(lambda: cli.json("task", "show", str(task))["round"] != 0, f"a round of task {task}")


def take_part(
    cli: Cli, folder: Path, creator: str, names: Sequence[str], wait_for_round: Callable[[int], None]
) -> HandMade:
    """Create a task, register, and bring one update each into the first round.

    `wait_for_round` is given the task's number and returns when its first round is open; see `poll_for_round`.
    """
    task = create_task(cli, folder, creator, len(names))
    number = ("--task", str(task))
    for name in names:
        cli.new_key(name)
        assert cli.json("participant", "register", *number, "--key", name)["registered_before"] is False
    wait_for_round(task)
    base = folder / "base.npz"
    fetched = cli.json("model", "get", *number, "--round", "1", "--out", str(base))
    assert fetched["verified"] is True
    shards, files = [], []
    for index, name in enumerate(names):
        trained, update = folder / f"{name}.npz", folder / f"{name}.update"
        train_by_hand(base, trained, 0.01 * (index + 1))
        made = cli.json(
            "update",
            "make",
            *number,
            "--weights",
            str(trained),
            "--out",
            str(update),
            "--key",
            name,
            "--round",
            "1",
        )
        assert (made["round"], made["signed_before"]) == (1, False)
        assert cli.json("update", "show", str(update), "--check-commitments")["commitments_match"] is True
        sent = cli.json("update", "submit", str(update))
        assert int(str(sent["height"])) > 0
        found = cli.json("update", "show", *number, "--round", "1", "--key", name)
        assert (found["accepted"], found["shard"]) == (True, made["shard"])
        shards.append(str(made["shard"]))
        files.append(update)
    return HandMade(task, tuple(shards), tuple(files))
