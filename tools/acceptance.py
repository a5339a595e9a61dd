"""Run the demo in all the ways in which it must end alike, and print what each run found.

    ./run accept                 everything, about a quarter of an hour
    ./run accept seeds tamper    some groups

| group | runs | what must hold |
|---|---|---|
| seeds | three seeds | everything verified; mean gap to float FedAvg at most a point, whose accuracy is at least 88 % |
| shards | one, two and three shards | one model root; `model verify` proves it on the chains that were kept |
| chaos | one and four validators, with and without kills | the same root and the same balances |
| tamper | a fault in each of five places | exit 4, and the check that caught it is named |
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
COMMAND: Final = (sys.executable, "-m", "cli.main")
MAX_MEAN_GAP: Final = 1.0
MIN_FLOAT: Final = 88.0
TAMPER_EXIT: Final = 4
KILLS: Final = 6
"""Of the relayer five times, of a validator once."""

PLACES: Final = ("header", "proof", "body", "sum", "payload")


class DemoResult(TypedDict):
    """What is read here of the file that the demo writes."""

    verified: bool
    model: dict[str, str]
    curves: dict[str, list[float]]
    gap_to_float_points: float
    kills: list[dict[str, object]]
    balances_after: dict[str, int]
    tamper: dict[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the demo: how it ended, and what it wrote."""

    exit_code: int
    seconds: float
    last_line: str
    result: DemoResult

    @property
    def is_verified(self) -> bool:
        """Whether the demo found everything verified, tokens conserved among it."""
        return self.exit_code == 0 and self.result["verified"]

    @property
    def final_float(self) -> float:
        """Accuracy of float FedAvg, equal-weight, after the last round, in per cent."""
        return self.result["curves"]["equal-weight"][-1]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table."""

    case: str
    holds: bool
    found: str
    seconds: float


def run_demo(folder: Path, *options: str) -> Run:
    """Run the demo with its directory in `folder`."""
    folder.mkdir(parents=True)
    file = folder / "result.json"
    command = [*COMMAND, "demo", "--dir", str(folder / "demo"), "--json", str(file), *options]
    begin = time.monotonic()
    wide = {**os.environ, "COLUMNS": "250"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=wide)
    lines = (done.stdout + done.stderr).strip().splitlines()
    if not file.exists():
        raise SystemExit(f"gradchain demo {' '.join(options)}: exit {done.returncode}\n{done.stderr}")
    result: DemoResult = json.loads(file.read_text(encoding="utf-8"))
    return Run(done.returncode, time.monotonic() - begin, lines[-1] if lines else "", result)


def prove_root(folder: Path) -> str:
    """Start the chains that a demo kept, and return the root that `model verify` proves."""
    chains = str(folder / "demo" / "chains")
    call(["localnet", "up", "--dir", chains])
    try:
        answer = json.loads(call(["model", "verify", "--task", "1", "--localnet", chains, "--json"]))
    finally:
        call(["localnet", "down", "--dir", chains])
    return str(answer["root"])


def call(arguments: list[str]) -> str:
    """Run a command that must succeed, and return what it printed."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"gradchain {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def check_seeds(folder: Path) -> Iterator[Verdict]:
    """Compare with float FedAvg over three seeds."""
    runs: list[Run] = []
    for seed in ("1", "2", "3"):
        run = run_demo(folder / f"seed-{seed}", "--validators", "1", "--seed", seed)
        if not run.is_verified:
            yield Verdict(f"seed {seed}", False, run.last_line, run.seconds)
            return
        runs.append(run)
        found = f"gap {run.result['gap_to_float_points']:+.1f} points, float {run.final_float:.1f} %, everything verified"
        yield Verdict(f"seed {seed}", run.final_float >= MIN_FLOAT, found, run.seconds)
    mean = sum(run.result["gap_to_float_points"] for run in runs) / len(runs)
    yield Verdict("mean over seeds", mean <= MAX_MEAN_GAP, f"gap {mean:+.2f} points", 0.0)


def check_shards(folder: Path) -> Iterator[Verdict]:
    """Compare the model of one, two and three shards."""
    roots: set[str] = set()
    for shards in ("1", "2", "3"):
        place = folder / f"shards-{shards}"
        run = run_demo(place, "--validators", "1", "--shards", shards, "--keep")
        if not run.is_verified:
            yield Verdict(f"{shards} shards", False, run.last_line, run.seconds)
            return
        proven = prove_root(place)
        roots |= {run.result["model"]["root"], proven}
        yield Verdict(f"{shards} shards", len(roots) == 1, f"model verify: {proven}", run.seconds)


def check_chaos(folder: Path) -> Iterator[Verdict]:
    """Compare runs with and without kills."""
    for validators in ("1", "4"):
        runs = {
            name: run_demo(folder / f"{name}-{validators}", "--validators", validators, *options)
            for name, options in {"calm": (), "chaos": ("--chaos",)}.items()
        }
        calm, chaos = runs["calm"], runs["chaos"]
        case = f"kills, {validators} validators"
        if not (calm.is_verified and chaos.is_verified):
            yield Verdict(case, False, f"{calm.last_line}; {chaos.last_line}", chaos.seconds)
            continue
        same_root = calm.result["model"]["root"] == chaos.result["model"]["root"]
        same_pay = calm.result["balances_after"] == chaos.result["balances_after"]
        kills = len(chaos.result["kills"])
        found = (
            f"{kills} kills; root {'the same' if same_root else 'ANOTHER'}, {chaos.result['model']['root']}; "
            f"balances {'the same' if same_pay else 'OTHERS'}"
        )
        yield Verdict(case, same_root and same_pay and kills == KILLS, found, chaos.seconds)


def check_tamper(folder: Path) -> Iterator[Verdict]:
    """Plant each fault."""
    for place in PLACES:
        run = run_demo(folder / place, "--validators", "1", "--tamper", place)
        holds = run.exit_code == TAMPER_EXIT and bool(run.result["tamper"]["check"])
        yield Verdict(f"fault in {place}", holds, run.last_line, run.seconds)


GROUPS: Final = {
    "seeds": check_seeds,
    "shards": check_shards,
    "chaos": check_chaos,
    "tamper": check_tamper,
}


def main() -> int:
    """Run the groups and print a line a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all by default")
    wanted: list[str] = parser.parse_args().groups
    unknown = sorted(set(wanted) - set(GROUPS))
    if unknown:
        parser.error(f"expected groups of {', '.join(GROUPS)}, got {', '.join(unknown)}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gradchain-") as folder:
        for name, check in GROUPS.items():
            if wanted and name not in wanted:
                continue
            for verdict in check(Path(folder) / name):
                failed += not verdict.holds
                mark = "ok" if verdict.holds else "FAILED"
                print(f"{verdict.case:<22} {mark:<7} {verdict.seconds:6.0f} s  {verdict.found}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
