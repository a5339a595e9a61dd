"""Run every check of the repository, stage by stage, and print the time of each.

This is what `./run test` does.  It stops at the first stage that fails.  `--only STAGE` runs one stage.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Stage:
    """A named list of commands."""

    name: str
    commands: tuple[tuple[str, ...], ...]


def pytest_command(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs part of the tests."""
    return (PYTHON, "-m", "pytest", "-q", "--durations=5", *arguments)


STAGES = (
    Stage(
        "lint",
        (
            ("ruff", "check", "-q", "."),
            ("ruff", "format", "-q", "--check", "."),
            ("codespell",),
            ("validate-pyproject", "pyproject.toml"),
            ("buf", "lint", "proto"),
        ),
    ),
    Stage("types", (("mypy",),)),
    Stage("layers", (("lint-imports",),)),
    Stage(
        "drift",
        (
            (PYTHON, "tools/proto.py", "--check"),
            (PYTHON, "tools/errors_doc.py", "--check"),
            (PYTHON, "tools/cli_doc.py", "--check"),
            (PYTHON, "tools/spec_check.py"),
            (PYTHON, "tools/removals.py", "--check"),
            (PYTHON, "-m", "tools.mutation", "--check"),
            (PYTHON, "-m", "tools.differential", "--check"),
            (PYTHON, "tools/lock_check.py"),
        ),
    ),
    Stage("tests in process", (pytest_command("-n", "2", "-m", "not localnet"),)),
    Stage("tests on real CometBFT", (pytest_command("-m", "localnet"),)),
)


def run_stage(stage: Stage) -> int:
    """Run the commands of a stage; return the exit code of the first that fails, or 0."""
    for command in stage.commands:
        print(f"$ {' '.join(Path(part).name if part == PYTHON else part for part in command)}", flush=True)
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


def main() -> int:
    """Run the stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[stage.name for stage in STAGES])
    wanted = parser.parse_args().only
    os.environ["PATH"] = os.pathsep.join(
        (str(ROOT / ".venv/bin"), str(ROOT / ".tools/bin"), os.environ["PATH"])
    )
    for stage in STAGES:
        if wanted not in (None, stage.name):
            continue
        print(f"== {stage.name}", flush=True)
        begin = time.monotonic()
        code = run_stage(stage)
        print(
            f"== {stage.name}: {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - begin:.1f} s",
            flush=True,
        )
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
