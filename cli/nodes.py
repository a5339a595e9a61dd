"""`gradchain node`: the commands of the chain kit, and the one that only a supervisor runs."""

from __future__ import annotations

from pathlib import Path

import click

from abci_app.nodecli import node_group


@click.command("app", hidden=True)
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), required=True, help="Home of the node."
)
def app_command(home: Path) -> None:
    """Run the app process of a node; its supervisor does."""
    from cli.node_app import run_app  # noqa: PLC0415 - hub, shards, store

    run_app(home)


node_group.add_command(app_command)

__all__ = ["node_group"]
