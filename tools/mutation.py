"""Mutate the package `ibc`, one small change at a time, and see whether its tests notice.

It works on copies in .cache/mutation.  At least 95 % of the mutants must be killed, and each survivor must stand in
tests/ibc/mutants.toml with its reason.  Without FILES or --again everything is tried anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.mutation_list import InvalidListError, check_justified, read_justified
from tools.mutation_report import PAGE, Report, render_table, write_run, write_survivors
from tools.mutation_results import read_mutants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.mutation_list import Justified

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".cache" / "mutation"
COPIED: Final = ("ibc", "tests", "abci_app", "tx", "wire", "tools", "pyproject.toml")
"""What the tests of the package need; `tool.mutmut` in pyproject.toml names the same."""


TOGETHER: Final = "what survived or was changed since an earlier run was tried again"


def copy_code(root: Path, folder: Path) -> None:
    """Bring the copy of the code and the tests up to date."""
    for name in COPIED:
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *COPIED]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)


def run_engine(folder: Path, stage: str, *arguments: str) -> int:
    """Run a stage of the engine in the copy, in one process at a time."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "tools.mutation_engine", stage, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def run_mutants(root: Path, folder: Path, files: Sequence[str], *, again: bool) -> int:
    """Try mutants; return the exit code of the first stage that fails."""
    if not files and not again:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    copy_code(root, folder)
    flags = ["--again"] if again else []
    modules = [".".join(Path(file).with_suffix("").parts) + ".*" for file in files]
    return run_engine(folder, "functions", *flags, *modules) or run_engine(
        folder, "constants", *flags, *files
    )


def make_report(folder: Path, entries: Sequence[Justified], files: Sequence[str]) -> Report:
    """Return what is known of the mutants of files, or of all."""
    return Report(
        tuple(mutant for mutant in read_mutants(folder) if not files or mutant.file in files),
        tuple(entry for entry in entries if not files or entry.file in files),
    )


def check_page(root: Path, entries: Sequence[Justified]) -> int:
    """Check the list and its page without running anything."""
    problems = check_justified(root, entries)
    page = (root / PAGE).read_text()
    if page != write_survivors(page, entries):
        problems.append(f"{PAGE} is not current: ./run mutate --write-docs")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"mutation: {len(entries)} justified survivors; {len(problems)} problems")
    return 1 if problems else 0


def describe_run(report: Report, how: str) -> str:
    """Return the paragraph and the table of a run in Markdown."""
    tools = ", ".join(f"{name} {version(name)}" for name in ("mutmut", "pytest", "hypothesis"))
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{day}, {tools}, Python {platform.python_version()}, one process; {how}.\n\n{render_table(report)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run mutants and report on them, or only check the list of those that may survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="try only the mutants of these files, such as ibc/ics23.py")
    parser.add_argument(
        "--again", action="store_true", help="try only what survived or has changed since the last run"
    )
    parser.add_argument("--report", action="store_true", help="run nothing: report on the last run")
    parser.add_argument("--write-docs", action="store_true", help=f"write the outcome and the list to {PAGE}")
    parser.add_argument(
        "--check", action="store_true", help="check the list and its page; run and write nothing"
    )
    options = parser.parse_args(arguments)
    if options.files and options.again:
        parser.error("expected FILES or --again, got both")
    files = [os.path.relpath(Path(file).resolve(), ROOT) for file in options.files]
    try:
        entries = read_justified(ROOT)
    except InvalidListError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        return check_page(ROOT, entries)
    begin = time.monotonic()
    if not options.report and run_mutants(ROOT, FOLDER, files, again=options.again):
        return 1
    entries = read_justified(ROOT)  # reasons may have been written since
    report = make_report(FOLDER, entries, files)
    print(render_table(report), end="")
    for problem in report.problems():
        print(problem)
    if options.write_docs:
        page = write_survivors((ROOT / PAGE).read_text(), entries)
        if not files:
            minutes = f"everything anew in {(time.monotonic() - begin) / 60:.0f} minutes"
            page = write_run(
                page, describe_run(report, TOGETHER if options.again or options.report else minutes)
            )
        (ROOT / PAGE).write_text(page)
    return 1 if report.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
