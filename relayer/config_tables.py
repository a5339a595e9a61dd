"""Reading tables of the configuration strictly: every complaint names the key and the line on which it stands.

A key that is unknown is an error, so that nobody relies on a setting that does nothing.  A key that an older version
had is an error too, which says what stands in its place now.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from abci_app.endpoint import Endpoint, parse_endpoint
from abci_app.errors import NodeError
from abci_app.toml_text import TableReader
from ibc.voting import Fraction
from relayer.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "::1")

REMOVED: Final[Mapping[tuple[str, str], str]] = {
    ("hub", "key_file"): 'key_files = ["..."], a list',
    ("shards", "key_file"): 'key_files = ["..."], a list',
    ("relayer", "metrics"): "http: one address serves /metrics and the state of packets",
}
"""Settings of older versions by table and key, with what stands in their place."""

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?\s*(?:#.*)?")
_HEX: Final = re.compile("[0-9a-fA-F]*")


@dataclass(frozen=True, slots=True)
class TomlLine:
    """One line of a file, with the table that it belongs to."""

    number: int
    """From 1."""
    text: str
    table: str
    """Name of the table; empty at the top."""
    index: int
    """Of a table in an array of tables, from 0."""


def list_lines(text: str) -> list[TomlLine]:
    """Return the lines of a TOML file.  Headers belong to the tables that they open."""
    found: list[TomlLine] = []
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.fullmatch(line)
        if header is not None:
            table = header.group(2)
            counts[table] = counts.get(table, -1) + 1
        found.append(TomlLine(number, line, table, counts.get(table, 0)))
    return found


def find_line(text: str, table: str, index: int, key: str) -> int | None:
    """Return the number of the line on which a key stands in a table; within inline tables too."""
    own = [line for line in list_lines(text) if (line.table, line.index) == (table, index)]
    name = rf"[\"']?{re.escape(key)}[\"']?\s*="
    for pattern in (rf"\s*{name}", rf"[^#]*[{{,]\s*{name}"):
        for line in own:
            if re.match(pattern, line.text):
                return line.number
    return None


class ConfigTable:
    """Takes keys out of one table of a configuration."""

    def __init__(
        self, values: Mapping[str, object], text: str, where: str, table: str = "", index: int = 0
    ) -> None:
        """Read a table; `where` names the table, or at the top the file, and `text` is the whole file."""
        self.where = where
        self._reader = TableReader(values, where, ConfigInvalid)
        self._left = dict.fromkeys(values)
        self.name = table
        self._text, self._index = text, index

    def fail(self, name: str, message: str) -> ConfigInvalid:
        """Return the error that a key is not as it should be."""
        line = find_line(self._text, self.name, self._index, name)
        return ConfigInvalid(message if line is None else f"{message} (line {line})")

    def take(self, name: str, kind: type[T], default: T | None = None) -> T:
        """Return the value of a key, or the default.

        Raises:
          ConfigInvalid: the key is missing and has no default, or its value is of another type.

        """
        if self._is_missing_for(name, default):
            self.finish_removed()
        self._left.pop(name, None)
        try:
            return self._reader.take(name, kind, default)
        except ConfigInvalid as error:
            raise self.fail(name, error.message) from error

    def _is_missing_for(self, name: str, default: object) -> bool:
        return default is None and name not in self._left

    def take_number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a number within a range.

        Raises:
          ConfigInvalid: it is none, or outside.

        """
        value = self.take(name, int, default)
        if not low <= value <= high:
            raise self.fail(name, f"expected {low} to {high} as {name} in {self.where}, got {value}")
        return value

    def take_choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """Return one of several words.

        Raises:
          ConfigInvalid: it is none of them.

        """
        value = self.take(name, str, default)
        if value not in choices:
            raise self.fail(
                name, f"expected one of {', '.join(choices)} as {name} in {self.where}, got {value!r}"
            )
        return value

    def take_fraction(self, name: str, default: Fraction, below: Fraction | None = None) -> Fraction:
        """Return a share from 1/3 to 1, or to less than `below`.

        No trust level and no share after which a chain accepts a refresh is less than 1/3.

        Raises:
          ConfigInvalid: it has another form, or is outside.

        """
        text = self.take(name, str, f"{default.numerator}/{default.denominator}")
        numerator, slash, denominator = text.partition("/")
        if not (slash and numerator.isdecimal() and denominator.isdecimal()):
            raise self.fail(name, f'expected a fraction such as "2/3" as {name}, got {text!r}')
        value = Fraction(int(numerator), int(denominator))
        is_large_enough = 0 < value.denominator <= 3 * value.numerator
        if below is None:
            is_small_enough = value.numerator <= value.denominator
        else:
            is_small_enough = value.numerator * below.denominator < below.numerator * value.denominator
        if not (is_large_enough and is_small_enough):
            bound = "1" if below is None else f"below {below.numerator}/{below.denominator}"
            raise self.fail(name, f"expected 1/3 to {bound} as {name}, got {text}")
        return value

    def take_loopback(self, name: str) -> Endpoint | None:
        """Return an address on loopback, or None for an empty text.

        Raises:
          ConfigInvalid: it has another form, or others could reach it.

        """
        text = self.take(name, str, "")
        if not text:
            return None
        try:
            endpoint = parse_endpoint(text)
        except NodeError as error:
            raise self.fail(name, f"{name}: {error.message}") from error
        if endpoint.host not in LOOPBACK_HOSTS:
            raise self.fail(name, f"expected a loopback address as {name}, got {endpoint.host}")
        return endpoint

    def take_bytes(self, name: str, size: int) -> bytes:
        """Return so many bytes, which the file has in hexadecimal digits, or none for an empty text.

        Raises:
          ConfigInvalid: it has another form.

        """
        text = self.take(name, str, "")
        if text and (len(text) != 2 * size or not _HEX.fullmatch(text)):
            raise self.fail(
                name, f"expected {2 * size} hexadecimal digits as {name} in {self.where}, got {text[:80]!r}"
            )
        return bytes.fromhex(text)

    def take_texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of texts, none of them empty.

        Raises:
          ConfigInvalid: it is something else.

        """
        values = self.take(name, list, None if default is None else list(default))
        if not all(isinstance(value, str) and value for value in values):
            raise self.fail(name, f"expected a list of texts as {name} in {self.where}, got {values!r}")
        return tuple(str(value) for value in values)

    def take_tables(self, name: str) -> list[dict[str, object]]:
        """Return a list of tables.

        Raises:
          ConfigInvalid: it is something else.

        """
        values = self.take(name, list)
        for value in values:
            if not isinstance(value, dict):
                raise self.fail(name, f"expected tables as {name} in {self.where}, got {value!r}")
        return values

    def finish_removed(self) -> None:
        """Check that no key of an older version is left.

        Raises:
          ConfigInvalid: there is one.

        """
        for name in self._left:
            instead = REMOVED.get((self.name, name))
            if instead is not None:
                raise self.fail(name, f"expected no {name} in {self.where}: it is now {instead}")

    def finish(self, known: tuple[str, ...] = ()) -> None:
        """Check that every key was taken; of those `known`, the nearest is proposed for one that is not.

        Raises:
          ConfigInvalid: a key is left.

        """
        self.finish_removed()
        for name in self._left:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; {near[0]} was meant?" if near else ""
            raise self.fail(name, f"expected no key {name} in {self.where}, got one{hint}")
