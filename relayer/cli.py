"""`gradchain relayer`: the link between a hub and its shards.

Modules that only one command needs are imported by it: a shell completes and prints help without them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING

import click

from relayer.cli_checks import clients_command, health_command, log_level_command, pay_command
from relayer.cli_common import config_option, json_option, load_quietly, print_errors, print_json
from relayer.cli_config import config_group, keys_group
from relayer.cli_packets import clear_command, dry_run_command, packet_command, pending_command

if TYPE_CHECKING:
    from pathlib import Path

    from relayer.link import LinkedShard
    from relayer.status import LinkStatus, StatusReport


@click.group(name="relayer")
def relayer_group() -> None:
    """Link chains and carry packets between them."""


@relayer_group.command(name="link")
@config_option
@json_option
def link_command(*, config_path: Path, as_json: bool) -> None:
    """Create what is missing of the links: clients, counterparties, registrations.

    It needs the keys of the chains' authorities, and may be run again at any time. Clients that exist are compared
    with the trusted headers of the configuration. A shard that cannot be linked does not keep others from it.
    """
    from relayer.service import link_each  # noqa: PLC0415

    report, problem = asyncio.run(link_each(load_quietly(config_path)))
    if as_json:
        print_json(report)
    else:
        for shard in report.links:
            _print_link(shard)
        for link in report.failed:
            # The reason that ends the command is told once, below.
            reason = "" if link.error == str(problem) else f": {link.error}"
            click.echo(f"{link.shard}: not linked{reason}")
    if problem is not None:
        raise problem


@relayer_group.command(name="recover")
@click.argument("shard")
@config_option
@json_option
def recover_command(*, shard: str, config_path: Path, as_json: bool) -> None:
    """Bring back the expired or frozen light clients of the link to SHARD, and admit it again.

    It needs the keys of the chains' authorities.  After a fork the configuration must name true nodes only.
    """
    from relayer.service import recover_clients  # noqa: PLC0415
    from relayer.types import ChainId  # noqa: PLC0415

    linked = asyncio.run(recover_clients(load_quietly(config_path), ChainId(shard)))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(linked), indent=2))
    else:
        _print_link(linked)


def _print_link(shard: LinkedShard) -> None:
    click.echo(f"{shard.shard}: {shard.hub_client} on the hub, {shard.shard_client} on the shard")
    for step in shard.steps:
        click.echo(f"  {step}")
    if not shard.steps:
        click.echo("  complete already")
    for note in shard.notes:
        click.echo(f"  note: {note}")


@relayer_group.command(name="start")
@config_option
@click.option("--retry-refused", is_flag=True, help="Try packets once more that a chain has refused.")
@click.option("--json", "as_json", is_flag=True, help="Log JSON, whatever the configuration says.")
def start_command(*, config_path: Path, retry_refused: bool, as_json: bool) -> None:
    """Relay until SIGTERM or SIGINT.  What happens is logged to standard error."""
    from relayer.config import load_config  # noqa: PLC0415
    from relayer.heap import return_freed_memory  # noqa: PLC0415
    from relayer.logs import set_up_logs  # noqa: PLC0415
    from relayer.service import relay  # noqa: PLC0415

    return_freed_memory()
    config = load_config(config_path)
    set_up_logs("json" if as_json else config.log_format, config.log_level)
    asyncio.run(relay(config, retry_refused=retry_refused))


@relayer_group.command(name="status")
@config_option
@json_option
def status_command(*, config_path: Path, as_json: bool) -> None:
    """Show whether a relayer runs, clients with their time to expiry, pending packets and counters.

    Chains and journal are asked, so it works whether or not a relayer runs.
    """
    from relayer.service import report_status  # noqa: PLC0415

    report = asyncio.run(report_status(load_quietly(config_path)))
    if as_json:
        print_json(report)
    else:
        _print_status(report)


def _print_status(report: StatusReport) -> None:
    from abci_app.table import print_table  # noqa: PLC0415

    click.echo(f"Relayer: {report.relayer}\n")
    print_table(
        ("chain", "height", "read up to", "state"),
        [
            (
                chain.chain_id,
                "-" if chain.height is None else str(chain.height),
                str(chain.cursor),
                "unknown" if chain.error else "ok",
            )
            for chain in report.chains
        ],
        "Chains",
    )
    print_errors((chain.chain_id, chain.error) for chain in report.chains)
    rows = [row for link in report.links for row in _link_rows(link)]
    columns = ("link", "on", "client", "state", "expires in s", "pending", "oldest in s", "refused")
    print_table(columns, rows, "\nLinks")
    print_errors((link.shard, link.error) for link in report.links)
    if report.packets:
        rows = [(count.chain_id, count.stage, str(count.packets)) for count in report.packets]
        print_table(("sent by", "stage", "packets"), rows, "\nPackets")
    if report.txs:
        rows = [(count.chain_id, count.state, str(count.txs)) for count in report.txs]
        print_table(("sent to", "state", "transactions"), rows, "\nTransactions")
    click.echo(f"\nBodies on their way: {report.bodies}")


def _link_rows(link: LinkStatus) -> list[tuple[str, ...]]:
    if not link.ready:
        return [(link.shard, "-", "-", "not ready", "-", "-", "-", "-")]
    return [
        (
            link.shard,
            end.chain_id,
            end.client_id,
            end.client_status,
            str(end.client_expires_in_s),
            str(end.pending),
            str(end.oldest_age_s),
            str(end.refused),
        )
        for end in link.ends
    ]


for _command in (
    config_group,
    keys_group,
    pending_command,
    packet_command,
    clear_command,
    dry_run_command,
    clients_command,
    health_command,
    pay_command,
    log_level_command,
):
    relayer_group.add_command(_command)
