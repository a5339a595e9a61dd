"""The light clients of all links, with what is left of their lives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relayer.discovery import find_link
from relayer.types import NS_PER_SECOND
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relayer.nodes import ChainNodes
    from relayer.state import RelayOptions
    from relayer.types import ChainId, ClientView, LinkEnd


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One light client."""

    shard: str
    """Names the link."""
    chain: str | None
    """The chain that keeps it.  This and all else but status and error is None if the link could not be read."""
    client: str | None
    follows: str | None
    """The chain whose headers it checks."""
    status: str
    """active, expired, frozen; unknown if the link could not be read."""
    height: int | None
    """Of the newest header that it knows."""
    expires_in_s: int | None
    """Negative once it has expired."""
    trusting_period_s: int | None
    refresh_in_s: int | None
    """Until the relayer shows it a header even if there is nothing to relay; negative when that is overdue."""
    error: str
    """Why the link could not be read; empty if it could."""


async def list_rows(
    hub: ChainNodes, shards: Mapping[ChainId, ChainNodes], options: RelayOptions, now_ns: int
) -> tuple[tuple[ClientRow, ...], AppError | None]:
    """Return both clients of every link, and the first error if a link could not be read."""
    results = await asyncio.gather(
        *(find_link(hub, shard) for shard in shards.values()), return_exceptions=True
    )
    rows: list[ClientRow] = []
    first: AppError | None = None
    for shard, result in zip(shards, results, strict=True):
        if isinstance(result, AppError):
            first = first or result
            rows.append(_unknown_row(shard, result))
        elif isinstance(result, BaseException):
            raise result
        else:
            ends = result.link
            rows.append(_row(shard, ends.hub, ends.shard, result.hub_client, options, now_ns))
            rows.append(_row(shard, ends.shard, ends.hub, result.shard_client, options, now_ns))
    return tuple(rows), first


def _unknown_row(shard: str, error: AppError) -> ClientRow:
    return ClientRow(
        shard=shard,
        chain=None,
        client=None,
        follows=None,
        status="unknown",
        height=None,
        expires_in_s=None,
        trusting_period_s=None,
        refresh_in_s=None,
        error=str(error),
    )


def _row(
    shard: str, end: LinkEnd, other: LinkEnd, view: ClientView, options: RelayOptions, now_ns: int
) -> ClientRow:
    share_ns = view.trusting_period_ns * options.refresh_numerator // options.refresh_denominator
    return ClientRow(
        shard=shard,
        chain=end.chain,
        client=end.client,
        follows=other.chain,
        status=view.status.value,
        height=view.height,
        expires_in_s=(view.time_ns + view.trusting_period_ns - now_ns) // NS_PER_SECOND,
        trusting_period_s=view.trusting_period_ns // NS_PER_SECOND,
        refresh_in_s=(view.time_ns + share_ns - now_ns) // NS_PER_SECOND,
        error="",
    )
