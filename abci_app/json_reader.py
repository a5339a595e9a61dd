"""Read JSON that someone else wrote, with every assumption checked and named.

A reader knows the path by which it was reached, so that a wrong answer of a server is reported as
`result.sync_info.latest_block_height: expected an integer, got null` and never as a KeyError.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from abci_app.errors import RpcMalformed

JsonObject = Mapping[str, object]
"""A JSON object, unread."""

_NANOSECONDS: Final = 1_000_000_000
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_HEXADECIMAL: Final = re.compile(r"([0-9a-fA-F]{2})*")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""The escape of half a character, of UTF-16."""
_MAX_CODE: Final = (1 << 32) - 1
_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z")


class JsonReader:
    """A value somewhere in a JSON document.  Every method raises `RpcMalformed` when the value is of another kind."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str) -> None:
        self.value = value
        self.path = path

    def to_object(self) -> JsonObject:
        """Return the value as an object."""
        if not isinstance(self.value, dict):
            raise self.explain("an object")
        return self.value

    def to_base64(self) -> bytes:
        """Return the value, bytes in Base64; null is empty."""
        if self.value is None:
            return b""
        if not isinstance(self.value, str):
            raise self.explain("Base64")
        try:
            return base64.b64decode(self.value, validate=True)
        except ValueError:
            raise self.explain("Base64") from None

    def child(self, name: str) -> JsonReader:
        """Return the member of an object; a missing one is null."""
        return JsonReader(self.to_object().get(name), f"{self.path}.{name}")

    def items(self, name: str) -> Iterator[JsonReader]:
        """Yield the elements of a member that is a list; null is an empty list, as Go writes it."""
        member = self.child(name)
        if member.value is None:
            return
        if not isinstance(member.value, list):
            raise member.explain("a list")
        for index, element in enumerate(member.value):
            yield JsonReader(element, f"{member.path}[{index}]")

    def text(self, name: str) -> str:
        """Return a member that is a string."""
        member = self.child(name)
        if not isinstance(member.value, str):
            raise member.explain("a string")
        return member.value

    def text_or_empty(self, name: str) -> str:
        """Return a member that is a string, or "" when it is missing or null."""
        return "" if self.child(name).value is None else self.text(name)

    def integer(self, name: str) -> int:
        """Return a member that is an integer; Go writes those of 64 bits as strings."""
        member = self.child(name)
        if isinstance(member.value, str) and _INTEGER.fullmatch(member.value):
            return int(member.value)
        if isinstance(member.value, int) and not isinstance(member.value, bool):
            return member.value
        raise member.explain("an integer")

    def integer_or_zero(self, name: str) -> int:
        """Return a member that is an integer, or 0 when it is missing or null."""
        return 0 if self.child(name).value is None else self.integer(name)

    def code(self, name: str) -> int:
        """Return a member that is the code of a result: 32 bits without a sign."""
        code = self.integer(name)
        if not 0 <= code <= _MAX_CODE:
            raise self.child(name).explain("a code of 32 bits")
        return code

    def boolean(self, name: str) -> bool:
        """Return a member that is true or false."""
        member = self.child(name)
        if not isinstance(member.value, bool):
            raise member.explain("true or false")
        return member.value

    def hexadecimal(self, name: str) -> bytes:
        """Return a member that is bytes in hexadecimal."""
        text = self.text(name)
        if _HEXADECIMAL.fullmatch(text) is None:
            raise self.child(name).explain("hexadecimal digits")
        return bytes.fromhex(text)

    def base64(self, name: str) -> bytes:
        """Return a member that is bytes in Base64; missing and null are empty."""
        return self.child(name).to_base64()

    def time_ns(self, name: str) -> int:
        """Return a member that is an RFC 3339 time in UTC, as Unix nanoseconds."""
        match = _TIME.fullmatch(self.text(name))
        if match is None:
            raise self.child(name).explain("a time in UTC")
        try:
            moment = datetime.fromisoformat(match.group(1) + "+00:00")
        except ValueError:
            raise self.child(name).explain("a time in UTC") from None
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
        return seconds * _NANOSECONDS + int((match.group(2) or "").ljust(9, "0"))

    def explain(self, expected: str) -> RpcMalformed:
        """Return the error that this value is not what was expected."""
        return RpcMalformed(f"{self.path}: expected {expected}, got {json.dumps(self.value)[:80]}")


def parse_json(data: bytes, where: str) -> JsonReader:
    """Return a reader of a JSON document.

    Raises:
      RpcMalformed: the bytes are no JSON.

    """
    try:
        value = json.loads(data.decode())
        if _HALF.search(data):
            # Two halves make a character; one alone could neither be stored nor printed.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RpcMalformed(f"{where}: expected JSON, got {data[:80]!r}") from None
    return JsonReader(value, where)
