"""Write TOML, and read tables of it strictly.

The standard library only reads, and the files here need no more than scalars and lists.  A key that is unknown is an
error: a setting that is misspelt, or that an older version had, must not be ignored in silence.

Source: TOML 1.0.0, sections on strings, keys and tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tx.errors import AppError

TomlValue = str | int | bool | Sequence[str]
"""What a setting can be."""

TomlTables = Mapping[str, Mapping[str, TomlValue]]
"""Settings by table; the table named "" is the top of the file."""

_T = TypeVar("_T")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def format_value(value: TomlValue) -> str:
    """Return a value in TOML syntax."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # A JSON string is a TOML basic string, except that TOML wants DEL escaped and knows no surrogate pairs.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(format_value(item) for item in value) + "]"


def format_toml(tables: TomlTables, comment: str = "") -> str:
    """Return a TOML file with the tables in their order, the top first, below an optional comment."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    ordered = [("", tables.get("", {})), *((name, table) for name, table in tables.items() if name)]
    for name, table in ordered:
        if name:
            lines += ["", f"[{_format_key(name)}]"]
        lines += [f"{_format_key(key)} = {format_value(value)}" for key, value in table.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def _format_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else format_value(key)


class TableReader:
    """Takes keys out of a table and complains about what is left."""

    def __init__(self, values: Mapping[str, object], where: str, error: type[AppError]) -> None:
        self._values = dict(values)
        self._where = where
        self._error = error

    def take(self, name: str, kind: type[_T], default: _T | None = None) -> _T:
        """Return the value of a key, or the default.

        Raises:
          the error of the reader: the key is missing and has no default, or its value is of another type.

        """
        value = self._values.pop(name, default)
        if value is None:
            raise self._error(f"expected {name} in {self._where}, got nothing")
        # `True` is an int to isinstance, and would pass for a number.
        if type(value) is not kind:
            raise self._error(f"expected {name} of type {kind.__name__} in {self._where}, got {value!r}")
        return value

    def finish(self) -> None:
        """Check that every key was taken.

        Raises:
          the error of the reader: there are keys left.

        """
        if self._values:
            raise self._error(f"expected no other keys in {self._where}, got {', '.join(self._values)}")
