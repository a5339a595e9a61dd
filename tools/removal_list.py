"""The checks that can be taken out, and the tests that must fail then: the files in tests/bad_input/removals.

The files are read in the order of their names.  In each, `[[item]]` is a kind of bad input and `[[item.removal]]` one
place in the code where it is refused, or comes to nothing; their keys are the fields below.
"""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tools.spec_check import list_tests, read_codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER: Final = Path("tests/bad_input/removals")
ERRORS: Final = Path("docs/errors.md")

_CODE: Final = re.compile(r"(\w+)/(\d+)")
_T = TypeVar("_T")


class InvalidListError(Exception):
    """The file is no list of removals; the message says where."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A check, how it is taken out, and who must notice."""

    item: str
    check: str
    """What is checked, in words."""
    code: str
    """`codespace/code` of the refusal; empty where nothing is refused."""
    file: str
    text: str
    """What is taken out of the file; it occurs there once."""
    instead: str
    """What takes its place."""
    tests: tuple[str, ...]
    """Ids of the tests that must fail, all of them; a test without its parameters stands for any of its cases."""
    starts_nodes: bool
    """Whether the tests start real nodes, so that they must have the machine to themselves."""


@dataclass(frozen=True, slots=True)
class Item:
    """A kind of bad input."""

    name: str
    outcome: str
    """What happens where nothing is refused."""
    removals: tuple[Removal, ...]


def read_items(root: Path) -> list[Item]:
    """Return the items of a repository, in order.

    Raises:
      InvalidListError: a key is missing, unknown, or has a value of another type.

    """
    paths = sorted((root / FOLDER).glob("*.toml"))
    if not paths:
        raise InvalidListError(f"{FOLDER}: expected TOML files, got none")
    return [item for path in paths for item in _read_file(path)]


def _read_file(path: Path) -> list[Item]:
    try:
        values: dict[str, object] = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InvalidListError(f"{path.name}: expected TOML, got: {error}") from error
    items = [_read_item(table, path.name) for table in _take_tables(values, "item", path.name)]
    _finish(values, path.name)
    return items


def _read_item(table: dict[str, object], where: str) -> Item:
    name = _take(table, "name", str, where)
    outcome = _take(table, "outcome", str, name, "")
    removals = tuple(_read_removal(name, entry) for entry in _take_tables(table, "removal", name))
    _finish(table, name)
    return Item(name, outcome, removals)


def _read_removal(item: str, table: dict[str, object]) -> Removal:
    where = f"{item}: {table.get('check')}"
    removal = Removal(
        item=item,
        check=_take(table, "check", str, where),
        code=_take(table, "code", str, where, ""),
        file=_take(table, "file", str, where),
        text=_take(table, "text", str, where),
        instead=_take(table, "instead", str, where),
        tests=tuple(str(test) for test in _take(table, "tests", list, where)),
        starts_nodes=_take(table, "starts_nodes", bool, where, default=False),
    )
    _finish(table, where)
    return removal


def _take_tables(table: dict[str, object], key: str, where: str) -> list[dict[str, object]]:
    found = _take(table, key, list, where)
    if not found or not all(isinstance(entry, dict) for entry in found):
        raise InvalidListError(f"{where}: expected tables as {key}, got {found!r}")
    return found


def _take(table: dict[str, object], key: str, kind: type[_T], where: str, default: _T | None = None) -> _T:
    value = table.pop(key, default)
    if not isinstance(value, kind):
        raise InvalidListError(f"{where}: expected {key} of type {kind.__name__}, got {value!r}")
    return value


def _finish(table: Mapping[str, object], where: str) -> None:
    if table:
        raise InvalidListError(f"{where}: expected no other keys, got {', '.join(table)}")


def check_items(root: Path, items: Sequence[Item]) -> list[str]:
    """Return what is wrong with the list, without running anything."""
    codes = read_codes(root / ERRORS)
    names = [item.name for item in items]
    problems = [f"{name}: expected one item of that name, got more" for name in _repeated(names)]
    own = [code for item in items for code in {removal.code for removal in item.removals if removal.code}]
    problems += [f"{code}: expected a code of one item, got it in more" for code in _repeated(own)]
    for item in items:
        for removal in item.removals:
            where = f"{item.name}: {removal.check}"
            found = (
                *check_text(root, removal),
                *_check_code(codes, item, removal),
                *_check_tests(root, removal),
            )
            problems += [f"{where}: {problem}" for problem in found]
    return problems


def check_text(root: Path, removal: Removal) -> Iterator[str]:
    """Yield why a removal cannot be applied."""
    path = root / removal.file
    if not path.is_file():
        yield f"expected the file {removal.file}, got none"
        return
    source = path.read_text()
    count = source.count(removal.text)
    if count != 1:
        yield f"expected the text once in {removal.file}, got it {count} times"
    elif removal.text == removal.instead:
        yield "expected another text instead, got the same"
    elif path.suffix == ".py":
        try:
            ast.parse(source.replace(removal.text, removal.instead))
        except SyntaxError as error:
            yield f"expected Python without the text, got: {error.msg} in line {error.lineno}"


def _check_code(codes: set[tuple[str, int]], item: Item, removal: Removal) -> Iterator[str]:
    if not removal.code:
        if not item.outcome:
            yield "expected a code, or an outcome of the item, got neither"
        return
    found = _CODE.fullmatch(removal.code)
    if found is None or (found[1], int(found[2])) not in codes:
        yield f"expected a code of {ERRORS}, got {removal.code}"


def _check_tests(root: Path, removal: Removal) -> Iterator[str]:
    if not removal.tests:
        yield "expected the tests that must fail, got none"
    for test in removal.tests:
        file, _, name = test.partition("::")
        path = root / file
        if not path.is_file() or name.partition("[")[0] not in list_tests(path):
            yield f"expected an existing test, got {test}"


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
