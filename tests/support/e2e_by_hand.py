"""A round by hand: what people type who have nothing but the command line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from tests.support.e2e_network import wait_for_round
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.e2e import Console
    from tests.support.e2e_network import SmallNetwork

TASK_FILE = ROOT / "docs" / "examples" / "task.toml"
PARTICIPANTS = ("hand-0", "hand-1", "hand-2", "hand-3")
HANDS = 2
"""Commands at once: there are as many cores."""


@dataclass(frozen=True, slots=True)
class PlayedRound:
    """A task whose first round was done by hand."""

    console: Console
    folder: Path
    task: int
    base: Path
    made: tuple[dict[str, object], ...]
    """What `update make` said, by participant."""
    sent: tuple[dict[str, object], ...]
    """What `update submit` said."""
    watched: str
    """What `round watch` printed."""

    @property
    def number(self) -> tuple[str, str]:
        """The option that names the task."""
        return "--task", str(self.task)

    def update_file(self, name: str) -> Path:
        """Return the file of a participant's update."""
        return self.folder / f"{name}.update"


def play_round(network: SmallNetwork, folder: Path) -> PlayedRound:
    """Create the task of the documentation, register, train, and bring one update each into the first round."""
    console = network.console
    network.new_key("hand-creator", amount=1_500_000)
    created = console.view("task", "create", str(TASK_FILE), "--seed", "5", "--key", "hand-creator")
    assert created["status"] == "registering"
    task = int(str(created["task"]))
    number = ("--task", str(task))
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(network.new_key, PARTICIPANTS))
        registered = list(
            hands.map(
                lambda name: console.view("participant", "register", *number, "--key", name), PARTICIPANTS
            )
        )
        assert [view["registered_before"] for view in registered] == [False] * len(PARTICIPANTS)
        wait_for_round(console, task, 1)
        base = folder / "base.pt"
        console.text("model", "get", *number, "--round", "1", "--out", str(base))

        def make(name: str) -> dict[str, object]:
            weights = folder / f"{name}.pt"
            train_by_hand(base, weights, seed=PARTICIPANTS.index(name))
            files = ("--weights", str(weights), "--out", str(folder / f"{name}.update"))
            return console.view("update", "make", *number, *files, "--key", name, "--round", "1")

        made = tuple(hands.map(make, PARTICIPANTS))
        sent = tuple(
            hands.map(
                lambda name: console.view("update", "submit", str(folder / f"{name}.update")), PARTICIPANTS
            )
        )
    watched = console.text("round", "watch", *number, "--until", "1")
    return PlayedRound(console, folder, task, base, made, sent, watched)


def train_by_hand(base: Path, trained: Path, seed: int) -> None:
    """Do what stands for training: move every weight a little."""
    generator = torch.Generator().manual_seed(seed)
    state = torch.load(base, weights_only=True)
    moved = {
        name: tensor + 0.01 * torch.randn(tensor.shape, generator=generator) for name, tensor in state.items()
    }
    torch.save(moved, trained)
