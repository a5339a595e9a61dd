"""How long a hub and two shards take from their start until every node has services and a block."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aggregation.kzg import load_setup, setup_path
from bench.figures import Line, summarise
from bench.networks import build_network
from bench.repeat import time_once
from localnet.network import Localnet
from localnet.stages import StageDone

if TYPE_CHECKING:
    from pathlib import Path

    from bench.context import BenchContext

ROW: Final = "start"
VALIDATORS: Final = (1, 4)


def run(context: BenchContext) -> list[Line]:
    """Measure with one and with four validators a chain."""
    context.say(f"{ROW}: starting three chains again and again")
    setup_bytes = setup_path().read_bytes()
    loading = time_once(lambda: load_setup(setup_bytes), time.process_time)
    repetitions = context.choose(3, 2)
    samples: dict[int, list[float]] = {validators: [] for validators in VALIDATORS}
    stages: dict[int, list[StageDone]] = {}
    for repetition in range(repetitions):
        for validators in VALIDATORS:
            directory = context.fresh_directory(f"{ROW}-{validators}-{repetition}")
            seconds, stages[validators] = _start(directory, validators)
            samples[validators].append(seconds)
    return [
        Line(
            row=ROW,
            case=f"hub and 2 shards, {validators} validators each",
            ours=summarise(samples[validators], "s"),
            notes=(
                ", ".join(f"{stage.title} after {stage.seconds:.1f} s" for stage in stages[validators]),
                f"each app loads the KZG set-up in {loading:.2f} s of processor time",
            ),
        )
        for validators in VALIDATORS
    ]


def _start(directory: Path, validators: int) -> tuple[float, list[StageDone]]:
    localnet = Localnet.create(build_network(validators), directory / "chains")
    try:
        begin = time.perf_counter()
        localnet.start(detach=False)
        supervised = StageDone("supervisor runs", time.perf_counter() - begin)
        stages = [supervised, *localnet.wait_ready()]
        return time.perf_counter() - begin, stages
    finally:
        localnet.stop()
