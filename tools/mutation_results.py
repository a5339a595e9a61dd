"""What became of a mutant, as the engine writes it and the report reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS: Final = "functions.json"
CONSTANTS: Final = "constants.json"

KILLED: Final = "killed"
TIMED_OUT: Final = "timeout"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the code, and what the tests made of it."""

    file: str
    function: str
    """Name of the function, with its class; empty outside of functions."""
    before: str
    """The lines that are changed, without indentation."""
    after: str
    status: str
    """`killed`, `timeout`, or how else it survived."""
    name: str
    """What mutmut calls it; empty outside of functions."""

    @property
    def is_killed(self) -> bool:
        """Whether a test failed, or ran without end."""
        return self.status in {KILLED, TIMED_OUT}


def changed_lines(diff: str) -> tuple[str, str]:
    """Return the lines that a unified diff takes out, and those that it puts in."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+")
    )
    return before, after


def read_mutants(folder: Path) -> list[Mutant]:
    """Return what the engine has written in a folder."""
    found: list[Mutant] = []
    for name in (FUNCTIONS, CONSTANTS):
        path = folder / name
        if path.is_file():
            found += [Mutant(**fields) for fields in json.loads(path.read_text())]
    return found
