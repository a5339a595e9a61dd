"""The SDK against a real network, as docs/sdk.md shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.e2e_network import SmallNetwork

pytestmark = pytest.mark.localnet

ROUND = re.compile(r"round (\d): loss (\d+\.\d+), in block \d+ of (shard-\d)")


def test_the_example_of_the_documentation_trains_a_module_of_its_own(network: SmallNetwork) -> None:
    creator = network.new_key("example-creator", amount=900)
    task = network.create_example(creator)
    keys = [network.new_key(f"example-{number}") for number in range(2)]
    runs = network.train_example(task, keys)
    models = set()
    for done in runs:
        assert (done.exit_code, done.stderr) == (0, ""), done.describe()
        lines = done.stdout.splitlines()
        rounds = [ROUND.fullmatch(line) for line in lines[:-1]]
        losses = [float(found[2]) for found in rounds if found is not None]
        assert len(losses) == len(rounds) == 3, done.stdout
        assert losses[-1] < losses[0]
        models.add(lines[-1].split(",")[0])
    assert len(models) == 1, "both must end with the same model"
    root = models.pop().removeprefix("model ")
    assert network.console.view("model", "verify", "--task", str(task))["root"] == root
    earned = [network.console.view("account", "show", f"example-{number}")["earned"] for number in range(2)]
    # A round pays 300, of which relayers get at most 30: 7 for each header and body of two shards.
    assert earned == [3 * 136, 3 * 136]
    relayer = network.localnet.address("relayer")
    assert network.console.view("account", "relayed", relayer, "--task", str(task))["rounds"] == [
        {"task": task, "round": number, "packets": 4, "amount": 28} for number in (1, 2, 3)
    ]
