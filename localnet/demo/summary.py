"""The end of a run for people, and the same for machines."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from localnet.demo.options import DemoResult


def result_to_json(result: DemoResult) -> dict[str, object]:
    """Return everything that a run found out."""
    values = dataclasses.asdict(result)
    curves = {name: list(values) for name, values in result.baselines.items()}
    last = result.rows[-1].accuracy if result.rows else 0.0
    equal = curves.get("equal-weight") or [0.0]
    values["curves"] = {"gradchain": [row.accuracy for row in result.rows], **curves}
    values["gap_to_float_points"] = equal[-1] - last
    values["verified"] = all(check.passed for check in result.checks)
    return values


def write_json(path: Path, result: DemoResult) -> None:
    """Write the result as JSON."""
    path.write_text(json.dumps(result_to_json(result), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def print_summary(console: Console, result: DemoResult) -> None:
    """Print what was reached, verified and paid."""
    accuracy = Table(
        "round", "gradchain", *(f"float, {name}" for name in result.baselines), title="accuracy, %"
    )
    for index, row in enumerate(result.rows):
        cells = [f"{curve[index]:.1f}" for curve in result.baselines.values()]
        accuracy.add_row(str(row.number), f"{row.accuracy:.1f}", *cells)
    console.print(accuracy)

    checks = Table("what was verified", "by", "count", "", title="verified")
    for check in result.checks:
        mark = "ok" if check.passed else f"FAILED {check.detail}"
        checks.add_row(check.name, check.by, f"{check.count:,}", mark)
    console.print(checks)

    if result.kills:
        kills = Table("killed (-9)", "pid", "round", "packets pending", "at, s", title="faults")
        for kill in result.kills:
            kills.add_row(*(str(value) for value in kill.values()))
        console.print(kills)

    balances = Table("account", "before", "after", title="balances")
    for name, before in result.balances_before.items():
        balances.add_row(name, f"{before:,}", f"{result.balances_after.get(name, 0):,}")
    console.print(balances)

    relay_pay = result.relay_pay
    console.print(
        f"relayer      paid {relay_pay.get('amount', 0):,} for {relay_pay.get('packets', 0):,} packets "
        "that it was the first to deliver"
    )
    model = result.model
    console.print(f"model root   {model.get('root')}")
    console.print(
        f"proven by    header {model.get('header_hash')} at hub height {model.get('height')}, "
        f"{model.get('signatures')} signatures",
        soft_wrap=not console.is_terminal,
    )
    timings = ", ".join(
        f"{name.replace('_', ' ')} {seconds:.2f} s" for name, seconds in result.timings.items()
    )
    console.print(f"time         {timings}", soft_wrap=not console.is_terminal)
    memory = ", ".join(f"{kind} {size:.0f} MiB" for kind, size in result.memory_peak_mib.items())
    console.print(
        f"peak memory  {memory} (the largest process of each kind); all together {result.memory_total_mib:.0f} MiB",
        soft_wrap=not console.is_terminal,
    )
    for name, path in result.paths.items():
        console.print(f"{name:<12} {_shorten(path)}")


def _shorten(path: str) -> str:
    """Return a path relative to the current folder where that is shorter."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative
