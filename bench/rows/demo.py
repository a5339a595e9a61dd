"""A round of the demo: the time in which nobody trains, beside a plain loop of federated averaging in one process.

The loop does the same local training on the same data, then averages floats in memory: what the chains add is what
ours has more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.demorun import PARTICIPANTS, run_fedavg
from bench.figures import Line, summarise

if TYPE_CHECKING:
    from bench.context import BenchContext
    from bench.demorun import DemoRun

ROW: Final = "demo"
VALIDATORS: Final = (1, 4)


def run(context: BenchContext) -> list[Line]:
    """Measure with one and with four validators a chain."""
    rounds = context.choose(6, 3)
    directory = context.fresh_directory(ROW)
    context.say(f"{ROW}: federated averaging without chains")
    plain = [run_fedavg(directory, rounds)]
    runs = []
    for validators in VALIDATORS:
        runs.append(context.demo(validators))
        plain.append(run_fedavg(directory, rounds))
    yardstick = summarise(plain, "s a round")
    return [
        Line(
            row=ROW,
            case=f"a round less training, {found.validators} validators a chain",
            ours=summarise([times.whole - times.training for times in found.rounds], "s a round"),
            yardstick=yardstick,
            yardstick_name="FedAvg loop, training and all",
            notes=(explain(found),),
        )
        for found in runs
    ]


def explain(found: DemoRun) -> str:
    """Return where the time of a round goes."""
    means = [
        sum(getattr(times, name) for times in found.rounds) / len(found.rounds)
        for name in ("whole", "training", "preparing", "submitting", "rest")
    ]
    whole, training, preparing, submitting, rest = means
    return (
        f"of {whole:.2f} s a round with {PARTICIPANTS} participants in {found.workers} processes: "
        f"train {training:.2f}, prepare {preparing:.2f}, submit {submitting:.2f}, "
        f"rest {rest:.2f} (packets, bodies, aggregation, looking for the next round)"
    )
