"""The soak of the demo.

One quiet run of the demo, then runs with the same seed in which the relayer is killed five times and a validator once,
until the time is up.  Every one of them must end with the model and the balances of the quiet run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

RUN_TIMEOUT_S: Final = 1_800


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run ended with."""

    model_root: str
    balances: dict[str, int]
    kills: int
    seconds: float


def run_demo(directory: Path, validators: int, rounds: int, seed: int, *, chaos: bool) -> Outcome:
    """Run the demo once.

    Raises:
      CalledProcessError: it failed, or something was not verified.

    """
    report = directory / "result.json"
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "demo",
        "--validators",
        str(validators),
        "--rounds",
        str(rounds),
    ]
    command += ["--seed", str(seed), "--dir", str(directory / "demo"), "--json", str(report)]
    begin = time.monotonic()
    subprocess.run([*command, "--chaos"] if chaos else command, check=True, timeout=RUN_TIMEOUT_S)
    values: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return Outcome(
        model_root=values["model"]["root"],
        balances=values["balances_after"],
        kills=len(values["kills"]),
        seconds=time.monotonic() - begin,
    )


@click.command(name="demo")
@click.option("--minutes", default=30.0, show_default=True, help="When to start no further run.")
@click.option("--validators", default=1, show_default=True, help="Validators of each chain.")
@click.option("--rounds", default=12, show_default=True, help="Rounds of each run.")
@click.option("--seed", default=1, show_default=True, help="Of all runs.")
def demo_command(minutes: float, validators: int, rounds: int, seed: int) -> None:
    """Run the demo again and again under faults; exit non-zero when a run ends with anything else than a quiet one."""
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="gradchain-soak-") as name:
        quiet = run_demo(Path(name), validators, rounds, seed, chaos=False)
        click.echo(f"quiet run: model {quiet.model_root}, {quiet.seconds:.0f} s")
        runs = kills = 0
        while time.monotonic() < end:
            outcome = run_demo(Path(name), validators, rounds, seed, chaos=True)
            runs, kills = runs + 1, kills + outcome.kills
            same = (outcome.model_root, outcome.balances) == (quiet.model_root, quiet.balances)
            click.echo(
                f"run {runs}: {outcome.kills} kills, {outcome.seconds:.0f} s, {'same' if same else 'DIFFERENT'}"
            )
            if not same:
                click.echo(f"expected {quiet}, got {outcome}", err=True)
                sys.exit(1)
    click.echo(f"{runs} runs with {kills} kills ended with the model and balances of the quiet run")
