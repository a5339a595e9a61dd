from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ibc.errors
from tx.errors import REGISTRY

PACKAGE = Path(ibc.errors.__file__).parent
FORBIDDEN = {
    "asyncio",
    "socket",
    "random",
    "secrets",
    "time",
    "os",
    "threading",
    "pathlib",
    "subprocess",
    "abci_app",
}


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_module_has_no_io_no_clock_and_no_chance(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    assert imported.isdisjoint(FORBIDDEN)


def test_every_error_says_its_cause_and_its_cure() -> None:
    found = [error for (codespace, _), error in REGISTRY.items() if codespace == "ibc"]
    assert len(found) > 50
    for error in found:
        assert error.__doc__
        assert error.CURE.endswith(".")
