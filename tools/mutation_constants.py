"""Mutants of what stands outside of functions: limits, formats, names, defaults of fields.

These are evaluated when a module is imported, so each mutant needs a fresh process, and mutmut does not make them.
The operators are mutmut's.  The tests are those that call a function which mentions the name that is defined, or a
name that is defined with it.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import libcst as cst
from mutmut.mutation.file_mutation import create_mutations, deep_replace
from mutmut.utils.format_utils import make_mutant_key

from tools.mutation_results import CONSTANTS, KILLED, TIMED_OUT, Mutant, changed_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STATS: Final = Path("mutants/mutmut-stats.json")
"""Which tests call which function, and how long they take; mutmut writes it."""

TIMEOUT_S: Final = 120.0

PYTEST: Final = (
    sys.executable,
    "-m",
    "pytest",
    "-x",
    "-q",
    "--no-header",
    "--tb=no",
    "-p",
    "no:randomly",
    "--hypothesis-profile=mutation",
)
SELECTION: Final = ("tests/ibc",)


@dataclass(frozen=True, slots=True)
class Change:
    """A module with one change outside of its functions."""

    path: Path
    source: str
    mutated: str
    name: str
    """What the changed statement defines."""

    def lines(self) -> tuple[str, str]:
        """Return the lines that are changed, before and after."""
        lines = difflib.unified_diff(self.source.splitlines(), self.mutated.splitlines(), lineterm="")
        return changed_lines("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, a class or a constant, and what it mentions."""

    name: str
    key: str
    """What mutmut calls it if it is a function, or nothing."""
    mentions: frozenset[str]


def run_constants(paths: Sequence[Path], *, again: bool) -> None:
    """Try every change of the files, or those that were not killed before; write what is known of all files."""
    results = Path(CONSTANTS)
    known: list[dict[str, str]] = json.loads(results.read_text()) if results.is_file() else []
    names = {str(path) for path in paths}
    found = [mutant for mutant in known if mutant["file"] not in names]
    killed = [Mutant(**fields) for fields in known if again and fields["status"] == KILLED]
    tests = Coverage(Path(STATS), list(read_definitions(sorted(Path("ibc").glob("*.py")))))
    # Without a change first: the tests must pass, and their bytecode be there.
    if run_tests((), {}) != 0:
        raise SystemExit("expected the tests to pass on the code as it is, got a failure")
    for path in paths:
        changes = list(list_changes(path))
        for number, change in enumerate(changes, 1):
            before, after = change.lines()
            same = (old for old in killed if (old.file, old.before, old.after) == (str(path), before, after))
            mutant = next(same, None) or try_change(change, tests.choose(change.name))
            found.append(asdict(mutant))
            print(f"{path} {number}/{len(changes)} {mutant.status}: {mutant.after}", flush=True)
    results.write_text(json.dumps(found, indent=1))


def list_changes(path: Path) -> Iterator[Change]:
    """Yield the changes of a module outside of functions, imports and what is there for type checkers only."""
    source = path.read_text()
    module, mutations, _, _ = create_mutations(str(path), source)
    for statement in module.body:
        name = _defined_name(statement)
        if not name or name == "__all__":
            continue
        inside = {id(node) for node in _walk(statement)}
        for mutation in mutations:
            if id(mutation.original_node) not in inside:
                continue
            if isinstance(mutation.contained_by_top_level_function, cst.FunctionDef):
                continue
            changed = deep_replace(module, mutation.original_node, mutation.mutated_node)
            assert isinstance(changed, cst.Module)  # noqa: S101 - a statement was replaced, not the module
            yield Change(path, source, changed.code, name)


def _defined_name(statement: cst.CSTNode) -> str:
    if isinstance(statement, cst.ClassDef):
        return statement.name.value
    if isinstance(statement, cst.SimpleStatementLine):
        (first, *_) = statement.body
        if isinstance(first, cst.Assign):
            target = first.targets[0].target
        elif isinstance(first, cst.AnnAssign):
            target = first.target
        else:
            return ""
        return target.value if isinstance(target, cst.Name) else ""
    return ""


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def read_definitions(paths: Sequence[Path]) -> Iterator[Definition]:
    """Yield what modules define."""
    for path in paths:
        module = ".".join(path.with_suffix("").parts)
        for statement in ast.parse(path.read_text()).body:
            if isinstance(statement, ast.FunctionDef):
                yield _read_function(module, statement, None)
            elif isinstance(statement, ast.ClassDef):
                yield Definition(statement.name, "", _list_names(statement))
                for member in statement.body:
                    if isinstance(member, ast.FunctionDef):
                        yield _read_function(module, member, statement.name)
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield Definition(target.id, "", _list_names(statement))


def _read_function(module: str, function: ast.FunctionDef, owner: str | None) -> Definition:
    key = f"{module}.{make_mutant_key(function.name, owner)}"
    return Definition(function.name, key, _list_names(function) | ({owner} if owner else frozenset()))


def _list_names(node: ast.AST) -> frozenset[str]:
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return frozenset(found | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)})


class Coverage:
    """Knows which tests depend on a name."""

    def __init__(self, stats: Path, definitions: Sequence[Definition]) -> None:
        values = json.loads(stats.read_text())
        self._durations: dict[str, float] = values["duration_by_test"]
        self._tests: dict[str, list[str]] = values["tests_by_mangled_function_name"]
        self._definitions = definitions

    def choose(self, name: str) -> list[str]:
        """Return the tests, the fastest first; all of them if it cannot be told."""
        names, keys = {name}, set[str]()
        while True:
            users = [found for found in self._definitions if found.mentions & names]
            keys |= {found.key for found in users if found.key}
            more = {found.name for found in users if not found.key} - names
            if not more:
                break
            names |= more
        tests = {test for key in keys for test in self._tests.get(key, [])}
        return sorted(tests or self._durations, key=lambda test: self._durations[test])


def try_change(change: Change, tests: Sequence[str]) -> Mutant:
    """Run tests on a change."""
    before, after = change.lines()
    stat = change.path.stat()
    # Bytecode is found by the time and the size of its source: no other source of this second may pass for it.
    change.path.write_text(change.mutated)
    try:
        code = run_tests(tests, {"PYTHONDONTWRITEBYTECODE": "1"})
    finally:
        change.path.write_text(change.source)
        os.utime(change.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    # 2: the module could not be imported.
    status = {-1: TIMED_OUT, 0: "survived", 1: KILLED, 2: KILLED}.get(code, f"pytest ended with {code}")
    return Mutant(str(change.path), "", before, after, status, "")


def run_tests(tests: Sequence[str], environment: dict[str, str]) -> int:
    """Run tests, or all if none is named, and return pytest's exit code; -1 for a run without end."""
    try:
        done = subprocess.run(
            [*PYTEST, *(tests or SELECTION)],
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return -1
    return done.returncode
