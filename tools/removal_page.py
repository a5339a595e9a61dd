"""The page docs/bad-input.md: each kind of bad input with its codes, causes, cures and tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.removal_list import ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.removal_list import Item

PAGE: Final = Path("docs/bad-input.md")

_HEAD: Final = """\
# Bad input

What becomes of each kind of bad input, and the tests that fail when its check is taken out: `./run audit` takes each
check out in turn and runs them.  The checks are listed in `tests/bad_input/removals/`, all errors in
[errors.md](errors.md).  Where there is no code nothing is refused, and the cause column says what happens instead.
This page is generated from both by `./run docs`.

| item | code | cause | cure | tests that fail without the check |
|---|---|---|---|---|
"""
_CELLS: Final = re.compile(r"(?<!\\)\|")


def render_page(root: Path, items: Sequence[Item]) -> str:
    """Return the page; the list must be free of problems."""
    cures = dict(_read_cures(root / ERRORS))
    rows: list[str] = []
    for item in items:
        codes = dict.fromkeys(removal.code for removal in item.removals)
        for number, code in enumerate(codes):
            cause, cure = cures[code] if code else (item.outcome, "Nothing has to be done.")
            tests = dict.fromkeys(
                test for removal in item.removals if removal.code == code for test in removal.tests
            )
            name = "" if number else item.name
            rows.append(f"| {name} | {code or '-'} | {cause} | {cure} | {_list_tests(tests)} |\n")
    return _HEAD + "".join(rows)


def _list_tests(tests: dict[str, None]) -> str:
    """Return test ids for a cell of a table, without the folder that all have in common."""
    return "<br>".join(f"`{test.removeprefix('tests/')}`".replace("|", "\\|") for test in tests)


def _read_cures(path: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield `codespace/code` with cause and cure for every row of the page of errors."""
    codespace = ""
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            codespace = line.removeprefix("## ").strip()
        elif re.match(r"\| \d+ \|", line):
            _, code, _, cause, cure, _ = (cell.strip() for cell in _CELLS.split(line))
            yield f"{codespace}/{code}", (cause, cure)
