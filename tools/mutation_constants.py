"""Mutants of what stands outside of functions: limits, formats, names, defaults of fields.

These are evaluated when a module is imported, so each mutant needs modules that are imported anew, and mutmut does not
make them.
The operators are mutmut's.  The tests are those that call a function which mentions the name that is defined, or a
name that is defined with it, and those of files that mention it.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import json
import os
import re
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import libcst as cst
import pytest
from libcst import matchers
from mutmut.mutation.file_mutation import create_mutations, deep_replace
from mutmut.utils.format_utils import make_mutant_key

from tools.mutation_results import CONSTANTS, KILLED, TIMED_OUT, Mutant, changed_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STATS: Final = Path("mutants/mutmut-stats.json")
"""Which tests call which function, and how long they take; mutmut writes it."""

TIMEOUT_S: Final = 120

PYTEST: Final = ("-x", "-q", "--no-header", "--tb=line", "-p", "no:randomly", "--hypothesis-profile=mutation")
IMPORT_FAILED: Final = 99
SELECTION: Final = ("tests/ibc",)


# What `lift_properties` has added.
LIFTED_PROPERTY: Final = matchers.Assign(value=matchers.Call(func=matchers.Name("property")))


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
    preload()
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
        properties = {
            id(node) for made in matchers.findall(statement, LIFTED_PROPERTY) for node in _walk(made)
        }
        for mutation in mutations:
            if id(mutation.original_node) not in inside:
                continue
            if isinstance(mutation.contained_by_top_level_function, cst.FunctionDef):
                continue
            if id(mutation.original_node) in properties:
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
            if matchers.matches(first.annotation.annotation, matchers.Name("TypeAlias")):
                return ""
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
        self._words: dict[str, frozenset[str]] = {}

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
        tests |= {test for test in self._durations if names & self._words_of(test.partition("::")[0])}
        return sorted(tests or self._durations, key=lambda test: self._durations[test])

    def _words_of(self, file: str) -> frozenset[str]:
        if file not in self._words:
            self._words[file] = frozenset(re.findall(r"\w+", Path(file).read_text()))
        return self._words[file]


def try_change(change: Change, tests: Sequence[str]) -> Mutant:
    """Run tests on a change."""
    before, after = change.lines()
    stat = change.path.stat()
    # Bytecode is found by the time and the size of its source; this one differs in its time, and leaves none.
    change.path.write_text(change.mutated)
    try:
        code = run_tests(tests)
        if code == pytest.ExitCode.USAGE_ERROR:
            # A test is not found, by its id at least: is it because its file cannot be imported?
            code = run_tests(sorted({test.partition("::")[0] for test in tests}))
    finally:
        change.path.write_text(change.source)
        os.utime(change.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    status = {-signal.SIGALRM: TIMED_OUT, 0: "survived", 1: KILLED, 2: KILLED, IMPORT_FAILED: KILLED}.get(
        code, f"pytest ended with {code}"
    )
    return Mutant(str(change.path), "", before, after, status, "")


def preload() -> None:
    """Import what the tests need, see that they pass, and forget what depends on the code that is to change.

    Generated messages stay: they cannot be registered twice.  So do the errors, which are not changed.
    """
    sys.path.insert(0, str(Path.cwd()))
    if pytest.main([*PYTEST, *SELECTION]) != 0:
        raise SystemExit("expected the tests to pass on the code as it is, got a failure")
    sys.dont_write_bytecode = True
    kept = ("ibc.errors", "abci_app.errors")
    dropped = {
        name
        for name in sys.modules
        if name.partition(".")[0] in {"ibc", "tests", "abci_app"} and not name.startswith(kept)
    }
    for name in dropped:
        del sys.modules[name]


def _can_import() -> bool:
    try:
        for path in Path("ibc").glob("*.py"):
            importlib.import_module(".".join(path.with_suffix("").parts))
    except Exception:  # noqa: BLE001 - whatever it is, no test could run
        return False
    return True


def run_tests(tests: Sequence[str]) -> int:
    """Run tests in a fork, and return pytest's exit code, or the signal that ended it as a negative number."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(TIMEOUT_S)
        output = os.open(os.devnull, os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os._exit(int(pytest.main([*PYTEST, *tests])) if _can_import() else IMPORT_FAILED)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
