"""Several questions at once, all to their ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

A = TypeVar("A")
B = TypeVar("B")


async def finish_both(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Return what both give, or raise what the first that failed has raised, when both have ended.

    `asyncio.gather` leaves the other one running when it raises: it would outlive the client that it asks.
    """
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(other, BaseException):
        raise other
    return one, other


async def finish_all(questions: Iterable[Awaitable[A]]) -> list[A]:
    """Return what all give, or raise what the first that failed has raised, when all have ended; see `finish_both`."""
    found: list[A] = []
    for answer in await asyncio.gather(*questions, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        found.append(answer)
    return found
