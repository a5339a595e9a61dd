"""`gradchain relayer pending|packet|clear|dry-run`: packets, one by one."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from abci_app.option_types import Seconds
from relayer.cli_common import (
    check_chain,
    choose_shards,
    config_option,
    json_option,
    load_quietly,
    print_json,
    print_rows,
    shards_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from relayer.clear import ClearReport
    from relayer.config import RelayerConfig
    from relayer.dryrun import Plan
    from relayer.packetview import MoveView, PacketView
    from relayer.pending import PendingReport
    from relayer.types import PacketKey
    from tx.errors import AppError

_RANGE: Final = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


class SequencesType(click.ParamType[tuple[range, ...]]):
    """Numbers and ranges of numbers, such as `3,7-12`."""

    name = "sequences"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[range, ...]:
        """Return the ranges that a text names."""
        found: list[range] = []
        for part in str(value).split(","):
            match = _RANGE.fullmatch(part.strip())
            if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]):
                self.fail(f"expected numbers and ranges such as 3,7-12, got {value!r}", param, ctx)
            found.append(range(int(match[1]), int(match[2] or match[1]) + 1))
        return tuple(found)


@click.command(name="pending")
@config_option
@shards_option
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Packets to show."
)
@json_option
def pending_command(*, config_path: Path, shards: Sequence[str], limit: int, as_json: bool) -> None:
    """Show open packets with their age, the oldest first.

    They are those that the chains call open: neither acknowledged nor timed out, whoever relays. How far the relayer
    of this configuration is with each is shown beside. The age counts from the block that sent a packet, or, if no node
    keeps that block, from when the relayer saw it; attempts are those that failed.
    """
    config = choose_shards(load_quietly(config_path), shards)
    report, problem = asyncio.run(_report_pending(config, limit))
    if as_json:
        print_json(report)
    else:
        columns = (
            "shard",
            "chain",
            "client",
            "sequence",
            "stage",
            "age_s",
            "timeout_in_s",
            "attempts",
            "reason",
        )
        print_rows(report.packets, columns, headers={"attempts": "failed attempts"})
        click.echo(f"\n{report.total} open, {len(report.packets)} shown")
    if problem is not None:
        raise problem


async def _report_pending(config: RelayerConfig, limit: int) -> tuple[PendingReport, AppError | None]:
    from relayer.pending import report_pending  # noqa: PLC0415
    from relayer.service import connected, open_reader  # noqa: PLC0415

    with open_reader(config) as journal:
        async with connected(config) as (hub, found):
            return await report_pending(hub, found, journal, limit, time.time_ns(), config.filter)


@click.command(name="packet")
@config_option
@click.option("--chain", required=True, help="Chain id of the chain that sent it.")
@click.option(
    "--client", default="07-tendermint-0", show_default=True, help="The client that it was sent over."
)
@click.option("--sequence", type=click.IntRange(1), required=True, help="Its number.")
@json_option
def packet_command(*, config_path: Path, chain: str, client: str, sequence: int, as_json: bool) -> None:
    """Show the way of one packet: each stage that it reached, when, and in which transaction.

    It is what the relayer of this configuration remembers; the same is served over HTTP under /packets. Its age counts
    from when the relayer saw it, and attempts are those that failed.

    The transaction in which the packet reached its receiver, whoever sent it, is looked for in the receiver's blocks.
    """
    from relayer.packetview import find_packet  # noqa: PLC0415
    from relayer.types import ChainId, ClientId, LinkEnd, PacketKey  # noqa: PLC0415

    config = load_quietly(config_path)
    check_chain(config, chain)
    key = PacketKey(LinkEnd(ChainId(chain), ClientId(client)), sequence)
    view = find_packet(config.journal, key, time.time_ns())
    view = asyncio.run(_add_delivery(config, view, key))
    if as_json:
        print_json(view)
        return
    click.echo(
        f"{key}: {view.stage}, seen {view.age_s} s ago, failed attempts: {view.attempts}"
        f"{view.failure and ', '}{view.failure}"
    )
    _print_moves(view.moves)


async def _add_delivery(config: RelayerConfig, view: PacketView, key: PacketKey) -> PacketView:
    from relayer.delivery import COMMITTED, add_delivery  # noqa: PLC0415
    from relayer.service import connected, open_reader  # noqa: PLC0415

    if all(move.stage != COMMITTED for move in view.moves):
        return view
    with open_reader(config) as journal:
        async with connected(config) as (hub, found):
            return view if journal is None else await add_delivery(view, key, journal, hub, found)


def _print_moves(moves: Sequence[MoveView]) -> None:
    from abci_app.table import print_table  # noqa: PLC0415
    from relayer.types import NS_PER_SECOND  # noqa: PLC0415

    rows = [
        (
            move.stage,
            f"{datetime.fromtimestamp(move.at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%SZ}",
            f"{(move.at_ns - moves[0].at_ns) / NS_PER_SECOND:.3f}",
            move.tx_hash,
            move.tx_state,
            str(move.tx_height or ""),
            move.failure,
        )
        for move in moves
    ]
    print_table(("stage", "at", "after s", "tx hash", "tx state", "tx height", "failure"), rows)


@click.command(name="clear")
@config_option
@shards_option
@click.option(
    "--sequences", type=SequencesType(), help="Only these numbers, such as 3,7-12; needs one --shard."
)
@click.option("--sender", help="Only packets that this chain has sent.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(1, 86_400),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to go on.",
)
@json_option
def clear_command(
    *,
    config_path: Path,
    shards: Sequence[str],
    sequences: tuple[range, ...] | None,
    sender: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """See the packets through that are open now, and end.

    A relayer may run meanwhile: this command works on the packets that were open when it began, and leaves what is
    sent later to it. Packets that the relayer has given up as refused are tried anew.
    """
    if sequences is not None and len(shards) != 1:
        raise click.UsageError("--sequences needs exactly one --shard: each link has numbers of its own")
    config = choose_shards(load_quietly(config_path), shards)
    if sender is not None:
        check_chain(config, sender)

    def is_wanted(key: PacketKey) -> bool:
        in_range = sequences is None or any(key.sequence in part for part in sequences)
        return in_range and sender in {None, str(key.sender.chain)}

    report, problem = asyncio.run(_clear(config, is_wanted, timeout_s))
    if as_json:
        print_json(report)
    else:
        if report.packets:
            print_rows(report.packets, ("chain", "client", "sequence", "outcome", "reason"))
        click.echo(f"\n{report.cleared} of {report.found} cleared")
    if problem is not None:
        raise problem


async def _clear(
    config: RelayerConfig, is_wanted: Callable[[PacketKey], bool], timeout_s: float
) -> tuple[ClearReport, AppError | None]:
    from relayer.clear import clear  # noqa: PLC0415
    from relayer.keyring import load_keys  # noqa: PLC0415
    from relayer.service import connected  # noqa: PLC0415

    keys = load_keys((config.hub, *config.served_shards))
    async with connected(config) as (hub, found):
        return await clear(config, hub, found, keys, is_wanted, timeout_s)


@click.command(name="dry-run")
@config_option
@shards_option
@json_option
def dry_run_command(*, config_path: Path, shards: Sequence[str], as_json: bool) -> None:
    """Show what would be relayed now, without sending anything.

    Headers and proofs are fetched and verified, transactions are built and signed, and then dropped.
    """
    plan, problem = asyncio.run(_rehearse(choose_shards(load_quietly(config_path), shards)))
    if as_json:
        print_json(plan)
    else:
        _print_plan(plan)
    if problem is not None:
        raise problem


def _print_plan(plan: Plan) -> None:
    for tx in plan.txs:
        click.echo(f"to {tx.chain}, {tx.client}: {tx.headers} headers, {tx.size_bytes} bytes")
        click.echo("  " + ", ".join(f"{packet.duty} {packet.sequence}" for packet in tx.packets))
    if plan.bodies:
        print_rows(plan.bodies, ("shard", "task", "round", "parts"), "Bodies")
    if plan.waiting:
        print_rows(plan.waiting, ("chain", "client", "sequence", "stage", "reason"), "Not yet")
    packets = sum(len(tx.packets) for tx in plan.txs)
    click.echo(f"{len(plan.txs)} transactions with {packets} packets; nothing was sent")


async def _rehearse(config: RelayerConfig) -> tuple[Plan, AppError | None]:
    from relayer.dryrun import rehearse  # noqa: PLC0415
    from relayer.keyring import load_keys  # noqa: PLC0415
    from relayer.service import connected, open_reader  # noqa: PLC0415

    keys = load_keys((config.hub, *config.served_shards))
    with open_reader(config) as journal:
        async with connected(config) as (hub, found):
            return await rehearse(config, hub, found, keys, journal)
