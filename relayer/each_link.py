"""One question about every link, so that a chain that does not answer keeps no other link from its answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from relayer.types import ChainId
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from relayer.nodes import ChainNodes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UnknownLink:
    """A link that could not be asked about, or set up."""

    shard: str
    error: str


async def ask_links(
    question: Callable[[ChainNodes, ChainNodes], Awaitable[T]],
    hub: ChainNodes,
    shards: Mapping[ChainId, ChainNodes],
) -> tuple[dict[ChainId, T], tuple[UnknownLink, ...], AppError | None]:
    """Return the answers about all links, those that could not be asked about, and the first error among these.

    `question` is called with the hub's nodes and a shard's, for each shard.
    """
    results = await asyncio.gather(
        *(question(hub, shard) for shard in shards.values()), return_exceptions=True
    )
    found, unknown = dict[ChainId, T](), list[UnknownLink]()
    first: AppError | None = None
    for shard, result in zip(shards, results, strict=True):
        if isinstance(result, AppError):
            unknown.append(UnknownLink(shard, str(result)))
            first = first or result
        elif isinstance(result, BaseException):
            raise result
        else:
            found[shard] = result
    return found, tuple(unknown), first
