"""Take the checks listed in tests/bad_input/removals out, one at a time, and see that the named tests fail.

It works on copies of the tracked files, never on the repository itself.  The tests must pass before anything is taken
out; without its check, every test that a removal names must fail in the ordinary way.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from tools.removal_list import InvalidListError, Item, Removal, check_items, read_items
from tools.removal_page import PAGE, render_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
COPIES: Final = 2
TEST_TIMEOUT_S: Final = 900.0
END_TIMEOUT_S: Final = 60.0

_PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-rfE", "-p", "no:randomly")
_FAILED: Final = re.compile(r"^FAILED (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """What pytest said."""

    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a removal."""

    is_caught: bool
    text: str
    seconds: float


def copy_repository(root: Path, target: Path) -> None:
    """Copy the tracked files of a repository as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        source = root / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def run_tests(root: Path, tests: Sequence[str]) -> Run:
    """Run tests of a copy with the programs of this environment; a run without end is ended, with code -1."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {
        "PYTHONPATH": str(root),
        # A file that was changed twice within a second could otherwise be run from its old bytecode.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.pathsep.join((str(ROOT / ".venv/bin"), str(ROOT / ".tools/bin"), os.environ["PATH"])),
    }
    with subprocess.Popen(
        [*_PYTEST, *tests],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=TEST_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _end(process)
            return Run(-1, f"no end within {TEST_TIMEOUT_S} s")
        return Run(process.returncode, output)


def _end(process: subprocess.Popen[str]) -> None:
    """End pytest as Ctrl-C would, so that tests stop the nodes that they have started; if it does not end, kill it."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def taken_out(root: Path, removal: Removal) -> Iterator[None]:
    """Take a check out of a copy, and put it back."""
    path = root / removal.file
    source = path.read_text()
    path.write_text(source.replace(removal.text, removal.instead))
    try:
        yield
    finally:
        path.write_text(source)


def judge(removal: Removal, run: Run) -> str:
    """Return why the tests do not show that the check is there, or nothing."""
    if run.code not in {0, 1}:
        return f"pytest ended with {run.code}: {run.output.strip().splitlines()[-1]}"
    failed = [line.partition(" - ")[0].strip() for line in _FAILED.findall(run.output)]
    quiet = [
        test
        for test in removal.tests
        if not any(name == test or name.startswith(test + "[") for name in failed)
    ]
    return f"survived: {', '.join(quiet)}" if quiet else ""


def try_removal(root: Path, removal: Removal) -> Verdict:
    """Run the tests of a removal without its check."""
    begin = time.monotonic()
    with taken_out(root, removal):
        problem = judge(removal, run_tests(root, removal.tests))
    return Verdict(not problem, problem or "caught", time.monotonic() - begin)


def check_untouched(root: Path, removals: Sequence[Removal]) -> bool:
    """Run all named tests with every check in place; tell whether they pass, and print it if they do not."""
    for starts_nodes in (False, True):
        chosen = [removal for removal in removals if removal.starts_nodes is starts_nodes]
        tests = list(dict.fromkeys(test for removal in chosen for test in removal.tests))
        if not tests:
            continue
        begin = time.monotonic()
        run = run_tests(root, tests)
        if run.code != 0:
            print(run.output, file=sys.stderr)
            print(f"expected the tests to pass with every check in place, got {run.code}", file=sys.stderr)
            return False
        kind = "on real nodes" if starts_nodes else "in process"
        print(f"{len(tests)} tests {kind} pass with every check in place ({time.monotonic() - begin:.1f} s)")
    return True


def try_removals(copies: Sequence[Path], removals: Sequence[Removal]) -> Iterator[tuple[Removal, Verdict]]:
    """Yield the verdicts: in process on all copies at once, then on real nodes one after the other."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def try_somewhere(removal: Removal) -> tuple[Removal, Verdict]:
        copy = free.get()
        try:
            return removal, try_removal(copy, removal)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        yield from pool.map(try_somewhere, [removal for removal in removals if not removal.starts_nodes])
    for removal in removals:
        if removal.starts_nodes:
            yield removal, try_removal(copies[0], removal)


def audit(root: Path, items: Sequence[Item]) -> int:
    """Take the checks of items out; print the table and return how many removals were not caught."""
    removals = [removal for item in items for removal in item.removals]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gradchain-audit-") as scratch:
        copies = [Path(scratch, str(number)) for number in range(COPIES)]
        for copy in copies:
            copy_repository(root, copy)
        if not check_untouched(copies[0], removals):
            return len(removals)
        survivors = 0
        print("item | code | removal | verdict")
        for removal, verdict in try_removals(copies, removals):
            survivors += not verdict.is_caught
            row = (removal.item, removal.code or "-", removal.check, verdict.text)
            print(f"{' | '.join(row)} ({verdict.seconds:.1f} s)", flush=True)
    caught = len(removals) - survivors
    print(
        f"{caught} of {len(removals)} removals of {len(items)} items caught in {time.monotonic() - begin:.0f} s"
    )
    return survivors


def check(root: Path, items: Sequence[Item]) -> int:
    """Check the list and its page without running a test; print what is wrong, and return 1 if anything is."""
    problems = check_items(root, items)
    page = root / PAGE
    if not problems and (not page.is_file() or page.read_text() != render_page(root, items)):
        problems = [f"{PAGE} is not current: ./run docs"]
    for problem in problems:
        print(problem, file=sys.stderr)
    removals = [removal for item in items for removal in item.removals]
    tests = {test for removal in removals for test in removal.tests}
    print(
        f"removals: {len(items)} items, {len(removals)} removals, {len(tests)} tests; {len(problems)} problems"
    )
    return 1 if problems else 0


def print_list(items: Sequence[Item]) -> None:
    """Print what can be taken out."""
    for item in items:
        print(item.name)
        for removal in item.removals:
            print(f"  {removal.code or '-'}: {removal.check} ({removal.file}, {len(removal.tests)} tests)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit a repository, or only check or list what would be audited."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository, by default this one")
    parser.add_argument("--only", action="append", metavar="ITEM", help="only items with this in their name")
    parser.add_argument("--list", action="store_true", help="print what would be taken out")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE}")
    parser.add_argument(
        "--check", action="store_true", help="check the list and its page; write and run nothing"
    )
    options = parser.parse_args(arguments)
    root: Path = options.root
    try:
        items = read_items(root)
    except InvalidListError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        return check(root, items)
    if options.only:
        items = [item for item in items if any(part in item.name for part in options.only)]
    if options.list:
        print_list(items)
        return 0
    problems = check_items(root, items)
    if problems or not items:
        print("\n".join(problems) or f"expected an item of {options.only}, got none", file=sys.stderr)
        return 1
    if options.write_docs:
        (root / PAGE).write_text(render_page(root, items))
        return 0
    return 1 if audit(root, items) else 0


if __name__ == "__main__":
    sys.exit(main())
