"""`gradchain relayer clients|health|pay|log-level`: how the link does, and what it costs."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Final

import click

from relayer.cli_common import (
    choose_shards,
    config_option,
    json_option,
    load_quietly,
    print_errors,
    print_json,
    print_rows,
    shards_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from relayer.clients import ClientRow
    from relayer.config import RelayerConfig
    from relayer.errors import ProblemsFound
    from relayer.examine import Check, Examination
    from relayer.pay import PayReport
    from tx.errors import AppError

LEVELS: Final = ("debug", "info", "warning", "error")


@click.command(name="clients")
@config_option
@shards_option
@json_option
def clients_command(*, config_path: Path, shards: Sequence[str], as_json: bool) -> None:
    """Show the light clients of all links with their status and the seconds until they expire."""
    rows, problem = asyncio.run(_list_clients(choose_shards(load_quietly(config_path), shards)))
    if as_json:
        import dataclasses  # noqa: PLC0415

        click.echo(json.dumps({"clients": [dataclasses.asdict(row) for row in rows]}, indent=2))
    else:
        columns = (
            "shard",
            "chain",
            "client",
            "follows",
            "status",
            "height",
            "expires_in_s",
            "refresh_in_s",
        )
        print_rows(rows, columns)
        print_errors((row.shard, row.error) for row in rows)
    if problem is not None:
        raise problem


async def _list_clients(config: RelayerConfig) -> tuple[tuple[ClientRow, ...], AppError | None]:
    from relayer.clients import list_rows  # noqa: PLC0415
    from relayer.service import connected  # noqa: PLC0415

    async with connected(config) as (hub, found):
        return await list_rows(hub, found, config.options, time.time_ns())


@click.command(name="health")
@config_option
@json_option
def health_command(*, config_path: Path, as_json: bool) -> None:
    """Examine all that relaying depends on; fail with every reason if something is wrong.

    Each node of each chain is asked: whether it answers, belongs to the right chain, keeps up, and has the right time.
    Keys must be there and hold what min_balance says; links must be complete, their clients active and not close to
    expiry. Nodes and clients must not contradict the trusted header of their chain, if the configuration names one; what
    cannot be compared is a note and no failure, and so is a relayer that does not run. The exit code is that of the first
    problem.
    """
    config = load_quietly(config_path)
    report(*asyncio.run(examine_live(config)), as_json=as_json)


async def examine_live(
    config: RelayerConfig, now_ns: int | None = None
) -> tuple[Examination, ProblemsFound | None]:
    """Examine a configuration against the chains; `now_ns` takes the place of the clock."""
    from relayer.examine import examine  # noqa: PLC0415
    from relayer.logs import set_up_logs  # noqa: PLC0415
    from relayer.service import connected  # noqa: PLC0415

    # What is wrong is in the result; the log would say it twice.
    set_up_logs(config.log_format, "error")
    async with connected(config) as (hub, found):
        return await examine(config, hub, found, time.time_ns() if now_ns is None else now_ns)


def report(examination: Examination, problem: ProblemsFound | None, *, as_json: bool) -> None:
    """Print an examination, and fail if there is a problem.

    Raises:
      ProblemsFound: something is wrong.

    """
    from abci_app.table import print_table  # noqa: PLC0415

    if as_json:
        print_json(examination)
    else:
        rows = [(check.name, check.subject, _verdict_of(check), check.found) for check in examination.checks]
        print_table(("check", "of", "verdict", "found"), rows)
        for code, cure in sorted({(check.code, check.cure) for check in examination.checks if check.cure}):
            click.echo(f"{code}: {cure}")
    if problem is not None:
        raise problem


def _verdict_of(check: Check) -> str:
    if not check.is_good:
        return f"BAD {check.code}"
    return "note" if check.is_note else "good"


@click.command(name="pay")
@config_option
@json_option
def pay_command(*, config_path: Path, as_json: bool) -> None:
    """Show what relaying has cost and brought: tokens spent, earned and refunded, and transactions by fate.

    No chain charges for a transaction, so spent and refunded are 0.  Earned is what settlements have paid for deliveries.
    """
    found = asyncio.run(_report_pay(load_quietly(config_path)))
    if as_json:
        print_json(found)
        return
    click.echo(f"spent {found.spent}, earned {found.earned}, refunded {found.refunded}")
    click.echo(f"{found.note}\n")
    print_rows(found.accounts, ("address", "balance", "packets", "earned", "key_file"), "Accounts on the hub")
    print_rows(
        found.chains, ("chain_id", "fees", "included", "failed", "expired", "pending"), "\nTransactions"
    )


async def _report_pay(config: RelayerConfig) -> PayReport:
    from relayer.pay import report_pay  # noqa: PLC0415
    from relayer.service import connected, open_reader  # noqa: PLC0415

    with open_reader(config) as journal:
        async with connected(config) as (hub, _):
            return await report_pay(config, hub, journal)


@click.command(name="log-level")
@config_option
@click.argument("level", type=click.Choice(LEVELS), required=False)
@json_option
def log_level_command(*, config_path: Path, level: str | None, as_json: bool) -> None:
    """Show from which level on a running relayer logs, or change it until the relayer ends.

    It is asked at the address `http` of the configuration.
    """
    from relayer.http_client import ask_log_level  # noqa: PLC0415

    found = ask_log_level(load_quietly(config_path), level)
    click.echo(json.dumps({"level": found}) if as_json else found)
