"""Federated averaging in one process: `python -m bench.fedavg PARTICIPANTS ROUNDS SEED RESULT`.

The demo's own float baseline, on one thread as each of its participants trains, with the time it takes.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from localnet.demo.options import DemoOptions
from localnet.demo.setup import describe_task
from participant.baseline import run_baseline
from participant.data import load_digits, split_digits


def main(arguments: list[str]) -> int:
    """Train, and write the seconds of a round."""
    participants, rounds, seed = (int(text) for text in arguments[:3])
    result = Path(arguments[3])
    torch.set_num_threads(1)
    federation = split_digits(load_digits(), participants, seed=seed)
    spec = describe_task(
        DemoOptions(directory=result.parent, participants=participants, rounds=rounds, seed=seed)
    )
    # The first use of torch's optimisers loads much of it; the demo's first round is not counted either.
    run_baseline(federation, spec.training, seed=seed, rounds=1, by_examples=False)
    begin = time.perf_counter()
    run_baseline(federation, spec.training, seed=seed, rounds=rounds, by_examples=False)
    seconds = (time.perf_counter() - begin) / rounds
    result.write_text(json.dumps({"seconds_a_round": seconds}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
