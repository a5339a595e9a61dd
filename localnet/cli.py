"""`gradchain localnet up|down|status|reset|logs|ports`: all chains of a manifest on this machine."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from abci_app.option_types import Seconds
from abci_app.table import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localnet.network import Localnet
    from localnet.stages import StageDone
    from localnet.status import NodeReport

DEFAULT_DIRECTORY: Final = Path(".gradchain/localnet")
DEFAULT_NETWORK: Final = "default"
_HASH_DIGITS: Final = 12

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DIRECTORY,
    envvar="GRADCHAIN_LOCALNET",
    show_default=True,
    show_envvar=True,
    help="Directory of the localnet.",
)


@click.group(name="localnet")
def localnet_group() -> None:
    """Run a hub, its shards and their validators on this machine."""


@localnet_group.command(name="up")
@directory_option
@click.option(
    "--network",
    help="A manifest: default, small, or the path of a .toml file. Without it the localnet in the directory goes on; "
    "if there is none, default is made.",
)
@click.option(
    "--timeout",
    type=Seconds(1, 86_400),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until all nodes have a block.",
)
@json_option
def up_command(directory: Path, network: str | None, timeout: float, as_json: bool) -> None:
    """Make the localnet if there is none, start it, and wait until every node has a block.

    Does no harm if it runs already. The configuration of its relayer is written to relayer/relayer.toml.
    """
    from localnet.manifest import load_manifest  # noqa: PLC0415
    from localnet.network import Localnet  # noqa: PLC0415
    from localnet.relay import ensure_relayer_config  # noqa: PLC0415

    if network is None and Localnet.exists(directory):
        localnet = Localnet.open(directory)
    else:
        localnet = Localnet.create(load_manifest(network or DEFAULT_NETWORK), directory)
    localnet.start()

    def report(stage: StageDone) -> None:
        if not as_json:
            click.echo(f"{stage.title:<24} {stage.seconds:6.1f} s")

    localnet.wait_ready(timeout, report)
    config = ensure_relayer_config(localnet)
    _show_ports(localnet, as_json=as_json)
    if config is not None and not as_json:
        click.echo(f"relayer configuration: {config}")


@localnet_group.command(name="down")
@directory_option
@json_option
def down_command(directory: Path, as_json: bool) -> None:
    """Stop all processes of the localnet; its chains stay on disk."""
    from localnet.network import Localnet  # noqa: PLC0415

    localnet = Localnet.open(directory)
    was_running = localnet.is_running
    localnet.stop()
    _say("stopped" if was_running else "was not running", as_json=as_json)


@localnet_group.command(name="reset")
@directory_option
@click.option("--remove", is_flag=True, help="Delete the whole directory, keys and homes included.")
@json_option
def reset_command(directory: Path, remove: bool, as_json: bool) -> None:
    """Stop the localnet and go back to before the first block, engine and app together; keys stay."""
    from localnet.network import Localnet  # noqa: PLC0415

    localnet = Localnet.open(directory)
    localnet.stop()
    if remove:
        localnet.remove()
    else:
        localnet.reset()
    _say("removed" if remove else "reset", as_json=as_json)


@localnet_group.command(name="status")
@directory_option
@json_option
def status_command(directory: Path, as_json: bool) -> None:
    """Show a row for each node; fails if two nodes of a chain have different states."""
    from localnet.network import Localnet  # noqa: PLC0415
    from localnet.status import check_agreement, collect_reports  # noqa: PLC0415

    reports = collect_reports(Localnet.open(directory).nodes)
    if as_json:
        rows = [dataclasses.asdict(report) | {"app_hash": report.app_hash} for report in reports]
        click.echo(json.dumps(rows, indent=2))
    else:
        _print_reports(reports)
    check_agreement(reports)


def _print_reports(reports: Sequence[NodeReport]) -> None:
    columns = ("node", "phase", "height", "app hash", "peers", "mempool", "last block", "restarts", "note")
    print_table(columns, [_report_row(report) for report in reports])


def _report_row(report: NodeReport) -> Sequence[str]:
    app_hash = report.app_hash[:_HASH_DIGITS]
    live = (
        str(report.height),
        app_hash,
        str(report.peers),
        str(report.mempool_txs),
        f"{report.block_age_s:.1f} s ago",
    )
    note = "catching up" if report.catching_up else report.reason
    shown = live if report.answers else ("", app_hash, "", "", "")
    return (report.node, report.phase, *shown, str(report.restarts), note)


@localnet_group.command(name="ports")
@directory_option
@click.option(
    "--options",
    "as_options",
    is_flag=True,
    help="Print --hub, --shard and --genesis for a program that uses the SDK instead.",
)
@json_option
def ports_command(directory: Path, as_options: bool, as_json: bool) -> None:
    """Show where every node listens, and the localnet's relayer while it runs."""
    from localnet.network import Localnet  # noqa: PLC0415

    if as_options and as_json:
        raise click.UsageError("expected --options or --json, got both")
    localnet = Localnet.open(directory)
    if as_options:
        click.echo(" ".join(_list_options(localnet)))
    else:
        _show_ports(localnet, as_json=as_json)


def _list_options(localnet: Localnet) -> Sequence[str]:
    """Return the options of docs/examples/own_task.py for a localnet; ports differ from one start to another."""
    options: list[str] = []
    for chain in localnet.chains.values():
        if chain.kind in {"hub", "shard"}:
            options += [f"--{chain.kind} {address}" for address in chain.grpc_addresses]
        if chain.kind == "hub":
            options.append(f"--genesis {chain.nodes[0].home.genesis_file}")
    return options


def _show_ports(localnet: Localnet, *, as_json: bool) -> None:
    from localnet.relay import find_http  # noqa: PLC0415

    rows = [
        {
            "node": node.name,
            "chain_id": node.config.chain_id,
            "rpc": str(node.config.rpc),
            "grpc": node.grpc_address,
            "metrics": node.metrics_address,
            "p2p": str(node.config.p2p),
            "home": str(node.home.path),
        }
        for node in localnet.nodes
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    names = ("node", "chain_id", "rpc", "grpc", "metrics", "p2p")
    print_table(
        ("node", "chain", "RPC", "gRPC", "metrics", "p2p"),
        [[row[name] for name in names] for row in rows],
        title=str(localnet.directory),
    )
    http = find_http(localnet)
    if http is not None:
        click.echo(f"\nrelayer's HTTP, while it runs: http://{http}")


@localnet_group.command(name="logs")
@directory_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("--node", "node_names", multiple=True, help="Only this node, such as hub.0; may be repeated.")
@click.option(
    "--process",
    "processes",
    multiple=True,
    type=click.Choice(("app", "comet", "supervisor")),
    help="Only this process; may be repeated.",
)
@json_option
def logs_command(
    directory: Path,
    follow: bool,
    node_names: Sequence[str],
    processes: Sequence[str],
    as_json: bool,
) -> None:
    """Print the logs of all nodes by time, each line behind the name of its node."""
    from localnet.logs import LOG_NAMES, follow_logs, list_sources, merge_logs  # noqa: PLC0415
    from localnet.network import Localnet  # noqa: PLC0415

    localnet = Localnet.open(directory)
    nodes = [localnet.node(name) for name in node_names] or list(localnet.nodes)
    sources = list_sources(nodes, processes or LOG_NAMES)
    width = max(len(source.prefix) for source in sources)
    for line in follow_logs(sources) if follow else merge_logs(sources):
        if as_json:
            click.echo(json.dumps({"source": line.prefix, "time_s": line.time_s, "text": line.text}))
        else:
            click.echo(f"{line.prefix:<{width}} | {line.text}")
        if follow:
            sys.stdout.flush()


def _say(outcome: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"outcome": outcome}) if as_json else outcome)
