"""Check docs/spec and the table of the light client's rules: what they name exists.

In docs/spec every rule has a tag of its own and names tests that exist, and whatever it refers to is there.  A rule is a
list item that begins with its tag, such as `- **[TX-BODY-2]** ...`, and ends at the next one or at a heading.  It names
tests as `tests/area/test_file.py::test_name`, with `[id]` behind it for one case, other rules by their tag in brackets, and
errors as `codespace/code`, as docs/errors.md lists them.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
SPEC: Final = Path("docs/spec")
TABLE: Final = Path("docs/light-client-rules.md")
"""A table with a row for each rule or attack, the tests in its last column."""
ERRORS: Final = Path("docs/errors.md")

_RULE: Final = re.compile(r"^- \*\*\[([^\]]*)\]\*\*")
_END: Final = re.compile(r"^(#|- \*\*\[)")
_TAG: Final = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+")
_REFERENCE: Final = re.compile(r"\[([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+)\]")
_TEST: Final = re.compile(r"(tests/[\w./-]+\.py)(?:::(\w+)(?:\[([^\]]+)\])?)?")
_CODE: Final = re.compile(r"\b(tx|aggregation|ibc|node|hub|shard)/(\d+)\b")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the specification."""

    tag: str
    place: str
    """File and line, for messages."""
    text: str


def read_rules(path: Path) -> Iterator[Rule]:
    """Yield the rules of a page, in order."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        found = _RULE.match(line)
        if found is None:
            continue
        end = number + 1
        while end < len(lines) and not _END.match(lines[end]):
            end += 1
        yield Rule(found[1], f"{path.name}:{number + 1}", "\n".join(lines[number:end]))


def read_codes(path: Path) -> set[tuple[str, int]]:
    """Return (codespace, code) of all errors on the page of errors."""
    codes: set[tuple[str, int]] = set()
    codespace = ""
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            codespace = line.removeprefix("## ").strip()
        elif row := re.match(r"\| (\d+) \|", line):
            codes.add((codespace, int(row[1])))
    return codes


@cache
def list_tests(path: Path) -> frozenset[str]:
    """Return the names of the tests that a file defines: functions, methods, and classes of state machines."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(name for name in names if name.lower().startswith("test"))


def check_rule(rule: Rule, root: Path) -> Iterator[str]:
    """Yield what is wrong with a rule by itself."""
    if not _TAG.fullmatch(rule.tag):
        yield f"{rule.place}: expected a tag such as TX-BODY-2, got {rule.tag!r}"
    yield from check_tests(rule, root)


def check_tests(rule: Rule, root: Path) -> Iterator[str]:
    """Yield what is wrong with the tests that a rule names."""
    tests = _TEST.findall(rule.text)
    if not tests:
        yield f"{rule.place}: [{rule.tag}] names no test"
    for file, name, case in tests:
        path = root / file
        if not path.is_file():
            yield f"{rule.place}: [{rule.tag}] names {file}, which does not exist"
        elif name not in list_tests(path):
            yield f"{rule.place}: [{rule.tag}] names {name or 'no test'} of {file}, which has no such test"
        elif case and f'"{case}"' not in path.read_text():
            yield f"{rule.place}: [{rule.tag}] names a case {case!r} of {file}, which has no such case"


def read_rows(path: Path) -> Iterator[Rule]:
    """Yield the rows of the table, each under its first cell."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.startswith("| ") and not line.startswith("| rule"):
            yield Rule(line.split(" | ")[0].removeprefix("| "), f"{path.name}:{number}", line)


def check_table(root: Path) -> tuple[int, list[str]]:
    """Return the number of rows of the table, and what is wrong."""
    rows = list(read_rows(root / TABLE))
    problems = [problem for row in rows for problem in check_tests(row, root)]
    return len(rows), problems if rows else [f"{TABLE.name}: there is no row"]


def check_pages(root: Path) -> tuple[int, int, list[str]]:
    """Return the number of rules, the number of tests that they name, and what is wrong."""
    pages = sorted((root / SPEC).glob("*.md"))
    codes = read_codes(root / ERRORS)
    rules = [rule for page in pages for rule in read_rules(page)]
    problems: list[str] = []
    places: dict[str, str] = {}
    for rule in rules:
        if rule.tag in places:
            problems.append(f"{rule.place}: [{rule.tag}] is taken by {places[rule.tag]}")
        places.setdefault(rule.tag, rule.place)
        problems += check_rule(rule, root)
    for page in pages:
        problems += check_references(page, set(places), codes)
    tests = {found for rule in rules for found in _TEST.findall(rule.text)}
    return len(rules), len(tests), problems


def check_references(page: Path, tags: set[str], codes: set[tuple[str, int]]) -> Iterator[str]:
    """Yield the tags and codes on a page that do not exist."""
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        for tag in _REFERENCE.findall(line):
            if tag not in tags:
                yield f"{page.name}:{number}: there is no rule [{tag}]"
        for codespace, code in _CODE.findall(line):
            if (codespace, int(code)) not in codes:
                yield f"{page.name}:{number}: there is no error {codespace}/{code}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the pages of a repository; print the counts, or what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository, by default this one")
    root: Path = parser.parse_args(arguments).root
    rules, tests, problems = check_pages(root)
    rows, wrong = check_table(root)
    problems += wrong
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"docs/spec: {rules} rules, shown by {tests} tests; {TABLE}: {rows} rows; {len(problems)} problems")
    return 1 if problems or not rules else 0


if __name__ == "__main__":
    sys.exit(main())
