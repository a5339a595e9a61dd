"""The mutants that no test can kill, each with its reason: tests/ibc/mutants.toml.

`[[mutant]]` is a change that makes no difference; its keys are the fields of `Justified`.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.mutation_results import Mutant

LIST: Final = Path("tests/ibc/mutants.toml")

_KEYS: Final = {"file", "function", "before", "after", "why"}


class InvalidListError(Exception):
    """The file is no list of mutants; the message says where."""


@dataclass(frozen=True, slots=True)
class Justified:
    """A mutant that may survive."""

    file: str
    function: str
    """Name of the function, with its class; empty outside of functions."""
    before: str
    """The lines that are changed, without indentation."""
    after: str
    why: str
    """Why no test can tell the difference, or need not."""

    def covers(self, mutant: Mutant) -> bool:
        """Whether it is this mutant."""
        return (self.file, self.function, self.before, self.after) == (
            mutant.file,
            mutant.function,
            mutant.before,
            mutant.after,
        )


def read_justified(root: Path) -> list[Justified]:
    """Return the list of a repository.

    Raises:
      InvalidListError: a key is missing, unknown, or has a value of another type.

    """
    try:
        values: dict[str, object] = tomllib.loads((root / LIST).read_text())
    except tomllib.TOMLDecodeError as error:
        raise InvalidListError(f"{LIST}: expected TOML, got: {error}") from error
    tables = values.pop("mutant", [])
    if values or not isinstance(tables, list):
        raise InvalidListError(f"{LIST}: expected tables `mutant` and nothing else, got {', '.join(values)}")
    return [_read_entry(number, table) for number, table in enumerate(tables, 1)]


def _read_entry(number: int, table: object) -> Justified:
    if not isinstance(table, dict) or set(table) != _KEYS:
        raise InvalidListError(f"{LIST}: entry {number}: expected the keys {', '.join(sorted(_KEYS))}")
    for key, value in table.items():
        if not isinstance(value, str) or (not value and key != "function"):
            raise InvalidListError(f"{LIST}: entry {number}: expected a text as {key}, got {value!r}")
    return Justified(**{key: value.strip() for key, value in table.items()})


def check_justified(root: Path, entries: Sequence[Justified]) -> list[str]:
    """Return what is wrong with the list, without running anything."""
    problems = [f"{LIST}: expected once, got again: {entry.before}" for entry in _repeated(entries)]
    for entry in entries:
        path = root / entry.file
        where = f"{LIST}: {entry.file} {entry.function}"
        if not path.is_file():
            problems.append(f"{where}: expected a file, got none")
        elif not any(entry.before in text for text in _bodies(path, entry.function)):
            problems.append(f"{where}: expected the lines as in the code, got: {entry.before}")
    return problems


def _repeated(entries: Sequence[Justified]) -> Iterator[Justified]:
    seen: set[tuple[str, ...]] = set()
    for entry in entries:
        key = (entry.file, entry.function, entry.before, entry.after)
        if key in seen:
            yield entry
        seen.add(key)


def _bodies(path: Path, function: str) -> Iterator[str]:
    """Yield the text of the functions of that name, without indentation; the whole file for the empty name."""
    source = path.read_text()
    if not function:
        yield _strip_lines(source)
        return
    owner, _, name = function.rpartition(".")
    tree = ast.parse(source)
    for statement in tree.body:
        inside = (
            statement.body if isinstance(statement, ast.ClassDef) and statement.name == owner else [statement]
        )
        for member in inside:
            if isinstance(member, ast.FunctionDef) and member.name == name:
                yield _strip_lines(ast.get_source_segment(source, member) or "")


def _strip_lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())
