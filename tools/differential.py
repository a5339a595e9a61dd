"""Judge cases side by side with the reference implementations, and say how many there were and how they ended."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from tests.interop.comparisons import COMPARISONS
from tests.interop.differences import DIFFERENCES
from tests.interop.evidence_differences import EVIDENCE_DIFFERENCES
from tests.interop.packet_differences import PACKET_DIFFERENCES
from tests.interop.proof_differences import STRICTER
from tests.support.differential import PROPERTY, decode_report
from tools.page_parts import LAST_RUN, read_part, replace_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.support.differential import Comparison, Tally

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = Path("docs/differential.md")
MODULES: Final = Path("tests/interop/judge/go.mod")

_DIFFERENCES: Final = ("<!-- differences -->\n", "<!-- end of differences -->\n")
_HEAD: Final = (
    "| cases | made by | judged by ours and | cases | equal | listed differences |\n"
    "|---|---|---|--:|--:|---|\n"
)


def read_versions(root: Path) -> str:
    """Return the modules that the references are built from, with their versions."""
    required = (root / MODULES).read_text().split("require (", 1)[1].split(")", 1)[0]
    return ", ".join(
        f"{path} {version}" for path, version in re.findall(r"github\.com/(\S+) (v\S+)", required)
    )


def read_reports(path: Path) -> Iterator[tuple[str, Tally]]:
    """Yield what the tests of a run have reported, out of its JUnit file."""
    for item in ET.parse(path).iter("property"):  # noqa: S314 - pytest has written it
        if item.get("name") == PROPERTY:
            yield decode_report(item.get("value", ""))


def run_tests(root: Path) -> dict[str, Tally] | None:
    """Run all tests that judge side by side, and return the outcomes by subject, or None where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-o",
            "junit_family=xunit1",
            f"--junit-xml={file}",
            "tests/interop",
        ]
        if subprocess.run(command, cwd=root, check=False).returncode:
            return None
        return dict(read_reports(file))


def render_row(comparison: Comparison, tally: Tally) -> str:
    """Return the row of one kind of cases."""
    listed = "; ".join(f"{name} {count}" for name, count in tally.differences) or "-"
    cells = (
        comparison.subject,
        comparison.made_by,
        comparison.judged_by,
        f"{tally.cases}",
        f"{tally.equal}",
        listed,
    )
    return f"| {' | '.join(cells)} |\n"


def render_run(root: Path, tallies: Mapping[str, Tally]) -> str:
    """Return the paragraph and the table of a run."""
    rows = [render_row(item, tallies[item.subject]) for item in COMPARISONS]
    day = datetime.now(UTC).date().isoformat()
    cases, equal = (sum(getattr(tally, name) for tally in tallies.values()) for name in ("cases", "equal"))
    total = f"| all | | | {cases} | {equal} | {cases - equal} cases |\n"
    return f"{day}; {read_versions(root)}.\n\n{_HEAD}{''.join(rows)}{total}"


def render_differences() -> str:
    """Return the tables of listed differences."""
    tables = [
        _render_table("Client updates and evidence", ((item.name, item.why) for item in DIFFERENCES)),
        _render_table("Evidence alone", ((item.name, item.why) for item in EVIDENCE_DIFFERENCES)),
        _render_table(
            "Proofs: refused by us alone",
            ((f"{item.our_message} (`{item.error.__name__}`)", item.why) for item in STRICTER),
        ),
        _render_table("Packets", ((item.name, item.why) for item in PACKET_DIFFERENCES)),
    ]
    return "\n".join(tables)


def _render_table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"| {name} | {why} |\n" for name, why in rows)
    return f"| {title} | why |\n|---|---|\n{body}"


def find_problems(root: Path) -> Iterator[str]:
    """Yield what the page lacks."""
    page = (root / PAGE).read_text()
    run = read_part(page, LAST_RUN)
    rows = [row.split(" | ")[0] for row in re.findall(r"^\| (.*)$", run, re.MULTILINE)][1:-1]
    if rows != [item.subject for item in COMPARISONS]:
        yield f"the table of the last run has other kinds of cases: {', '.join(rows)}"
    if read_versions(root) not in run:
        yield f"the last run was with other modules than {read_versions(root)}"
    if read_part(page, _DIFFERENCES) != render_differences():
        yield "the list of differences is not current"


def check_page(root: Path) -> int:
    """Check the page without running anything."""
    problems = list(find_problems(root))
    for problem in problems:
        print(f"{PAGE}: {problem}: ./run compare --write-docs", file=sys.stderr)
    print(f"differential: {len(COMPARISONS)} kinds of cases; {len(problems)} problems")
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or check its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help=f"write the outcome to {PAGE}")
    parser.add_argument("--check", action="store_true", help="check the page; run and write nothing")
    options = parser.parse_args(arguments)
    if options.check:
        return check_page(ROOT)
    tallies = run_tests(ROOT)
    if tallies is None:
        return 1
    missing = [item.subject for item in COMPARISONS if item.subject not in tallies]
    if missing:
        print(f"expected counts of all kinds of cases, got none of {', '.join(missing)}", file=sys.stderr)
        return 1
    run = render_run(ROOT, tallies)
    print(run, end="")
    if options.write_docs:
        page = replace_part((ROOT / PAGE).read_text(), LAST_RUN, run)
        (ROOT / PAGE).write_text(replace_part(page, _DIFFERENCES, render_differences()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
