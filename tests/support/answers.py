"""Answers in JSON of programs that tests ask, taken apart without guessing at types."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


class Answer:
    """A JSON value of an answer."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __getitem__(self, name: str) -> Self:
        assert isinstance(self._value, dict), f"expected an object with {name}, got {self._value!r}"
        return type(self)(self._value[name])

    def text(self) -> str:
        assert isinstance(self._value, str), f"expected a text, got {self._value!r}"
        return self._value

    def number(self) -> float:
        assert isinstance(self._value, int | float), f"expected a number, got {self._value!r}"
        return self._value

    def data(self) -> bytes:
        return b"" if self._value is None else base64.b64decode(self.text())

    def items(self) -> Iterator[Self]:
        assert isinstance(self._value, list), f"expected a list, got {self._value!r}"
        return map(type(self), self._value)

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def text_by_name(self) -> dict[str, str]:
        """Return an object of texts; an absent one has none."""
        assert self._value is None or isinstance(self._value, dict), (
            f"expected an object, got {self._value!r}"
        )
        return {str(name): self[name].text() for name in self._value or ()}
