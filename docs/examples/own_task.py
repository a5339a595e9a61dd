"""Train a module of your own on gradchain: a tiny regression on data that stays where it is.

python docs/examples/own_task.py NETWORK... --key creator.json --create
python docs/examples/own_task.py NETWORK... --key alice.json --task 1 --seed 1
python docs/examples/own_task.py NETWORK... --key bob.json --task 1 --seed 2

NETWORK... is --hub HOST:PORT --shard HOST:PORT... --genesis FILE; docs/sdk.md says where they come from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from participant.connect import connect
from participant.tasks import build_spec


def build_module() -> nn.Module:
    """Return the module; any will do whose state_dict has float tensors."""
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))


def draw_examples(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what this participant alone knows: noisy samples of a function of two variables."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(256, 2, generator=generator) * 2 - 1
    return inputs, inputs[:, :1] * inputs[:, 1:] + 0.01 * torch.randn(256, 1, generator=generator)


def train(module: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Train in place and return the loss; gradchain has no say in how."""
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(module(inputs), targets)
        loss.backward()
        optimiser.step()
    return float(loss.detach())


def main() -> None:
    """Create the task, or take part in it until it ends."""
    parser = argparse.ArgumentParser()
    for name in ("--hub", "--shard"):
        parser.add_argument(name, action="append", required=True)
    for name in ("--genesis", "--key"):
        parser.add_argument(name, required=True)
    parser.add_argument("--create", action="store_true")
    parser.add_argument("--task", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    module = build_module()

    with connect(hub=options.hub, shards=options.shard, genesis=options.genesis, key=options.key) as network:
        if options.create:
            spec = build_spec(module, name="product", rounds=3, budget=900, min_participants=2)
            print("task", network.create_task(spec, module))
            return
        participant = network.join(options.task, state=Path(options.key).with_suffix(".state"))
        inputs, targets = draw_examples(options.seed)
        for work in participant.rounds():
            work.load_into(module)
            loss = train(module, inputs, targets)
            done = work.submit(module)
            print(f"round {work.number}: loss {loss:.4f}, in block {done.height} of {done.shard}", flush=True)
        proven = network.load_model(options.task, module)
        print(f"model {proven.root.hex()}, proven by the header of height {proven.proof.height}")


if __name__ == "__main__":
    main()
