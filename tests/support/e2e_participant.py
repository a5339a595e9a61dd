"""A participant that can be killed at the worst moment: `python -m tests.support.e2e_participant ...`.

It takes part in one round with a module of three weights, and `--shift` stands for training.  With `--pause` it stops
for good between signing and sending.
"""

from __future__ import annotations

import argparse
import signal
import sys
from hashlib import sha256

import torch
from torch import nn

from participant.connect import connect


def build_module() -> nn.Module:
    """Return the module of the task."""
    module = nn.Linear(2, 1)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.25)
    return module


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--hub", "--shard"):
        parser.add_argument(name, action="append", required=True)
    for name in ("--genesis", "--key", "--state"):
        parser.add_argument(name, required=True)
    parser.add_argument("--task", type=int, required=True)
    parser.add_argument("--shift", type=float, required=True)
    parser.add_argument("--pause", action="store_true")
    options = parser.parse_args()
    module = build_module()
    with connect(hub=options.hub, shards=options.shard, genesis=options.genesis, key=options.key) as network:
        participant = network.join(options.task, state=options.state)
        for work in participant.rounds(last_round=1):
            work.load_into(module)
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.add_(options.shift)
            update = work.prepare(module)
            tell("signed", sha256(update.signed.statement).hexdigest())
            if options.pause:
                signal.pause()
            done = work.send(update)
            tell("sent", done.shard, str(done.height))


def tell(*words: str) -> None:
    """Write a line at once: the test waits for it."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
